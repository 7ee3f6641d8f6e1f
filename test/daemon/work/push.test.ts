import { expect, test } from "vitest";

import { parseJob, parseRecord } from "../../../src/daemon/queue/job-schema.ts";
import { type ApplyJob, subjectOf } from "../../../src/daemon/queue/job.ts";
import { outcomeSchema } from "../../../src/daemon/records/record-schemas.ts";
import { openRecords } from "../../../src/daemon/records/records.ts";
import { inProcessStateStore } from "../../../src/daemon/state/state-store.ts";
import type { Action } from "../../../src/plan/action.ts";
import { NOTHING_MOVED, type Outcome } from "../../../src/sync/report.ts";
import { buildImage, cosignTag } from "../../support/images/images.ts";

const { digest, mediaType, bytes } = buildImage().manifest;
const image = { digest, mediaType, size: bytes.length };
const base = {
  mirror: "app",
  tag: "1",
  from: { source: "r.example/app", tag: "1" },
  readAt: "2026-03-01T00:00:00.000Z",
};
const push: Action = { kind: "push", ...base, image, reason: "before it is published" };
const create: Action = { kind: "create", ...base, image, takeover: false, reason: "new" };
const pushed: Outcome = { kind: "pushed", mirror: "app", tag: "1", digest, moved: NOTHING_MOVED };

function job(...actions: readonly Action[]): ApplyJob {
  return { kind: "apply", mirror: "app", run: "r", reading: 1, plannedAt: base.readAt, actions };
}

test("a job that pushes comes back from the queue as it was, and so does its outcome", () => {
  expect(parseJob(JSON.parse(JSON.stringify(job(push))))).toEqual(job(push));
  expect(parseRecord(outcomeSchema, JSON.stringify(pushed))).toEqual(pushed);
});

test("a job that verifies keeps how, and the digest tags that it was planned with", () => {
  const tag = cosignTag(digest);
  const verify: Action = {
    kind: "update",
    ...base,
    image,
    takeover: false,
    reason: "has new signatures",
    verify: "bytes",
    digestTags: [tag],
  };
  expect(parseJob(JSON.parse(JSON.stringify(job(verify))))).toEqual(job(verify));
});

test("a job that pushes never replaces the job that publishes the same tag", () => {
  expect(subjectOf(job(push))).not.toBe(subjectOf(job(create)));
});

test("a push changes nothing that is known of the tag", async () => {
  const records = openRecords(inProcessStateStore(), { now: () => new Date(base.readAt) });
  const other = buildImage({ seed: "other" }).manifest.digest;
  await records.tags.note({ kind: "unchanged", mirror: "app", tag: "1", digest: other }, 1);
  const before = await records.tags.get("app", "1");
  expect(await records.tags.note(pushed, 2)).toBe("noted");
  expect(await records.tags.get("app", "1")).toEqual(before);
  expect(await records.tags.confirmed("app")).toEqual(new Map([["1", 1]]));
});
