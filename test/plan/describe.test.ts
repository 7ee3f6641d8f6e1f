import { expect, test } from "vitest";

import type { Digest } from "../../src/oci/digest.ts";
import type { Action } from "../../src/plan/action.ts";
import { describe } from "../../src/plan/describe.ts";

const ONE: Digest = `sha256:${"1".repeat(64)}`;
const TWO: Digest = `sha256:${"2".repeat(64)}`;
const base = {
  mirror: "nginx",
  tag: "1.27",
  from: { source: "docker.io/library/nginx", tag: "1.27" },
  readAt: "2026-06-01T00:00:00.000Z",
};
const image = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: ONE, size: 7 };

test.for<[Action, string]>([
  [{ kind: "create", ...base, image, takeover: false, reason: "new" }, "+ 1.27  sha256:111111111111  new"],
  [
    { kind: "update", ...base, image, takeover: false, replaces: TWO, reason: "moved at the source" },
    "~ 1.27  sha256:222222222222 → sha256:111111111111  moved at the source",
  ],
  [
    { kind: "update", ...base, image, takeover: true, reason: "takes over docker.io/nginx:1" },
    "~ 1.27  sha256:111111111111  takes over docker.io/nginx:1",
  ],
  [{ kind: "keep", ...base, digest: ONE, reason: "in place" }, "= 1.27  sha256:111111111111  in place"],
  [
    { kind: "prune", ...base, digest: ONE, missingSince: "2026-06-01", reason: "gone" },
    "- 1.27  sha256:111111111111  gone",
  ],
  [{ kind: "prune", ...base, missingSince: "2026-06-01", reason: "gone" }, "- 1.27  gone"],
  [{ kind: "remember", ...base, reason: "its grace begins" }, ". 1.27  its grace begins"],
  [
    {
      kind: "refuse",
      ...base,
      failure: { code: "STREAM_OWNED", message: "not\nours\u001b[2J", next: "", details: {} },
    },
    "! 1.27  STREAM_OWNED  not\\nours\\u001b[2J",
  ],
])("%j is one line", ([action, line]) => expect(describe(action)).toBe(line));
