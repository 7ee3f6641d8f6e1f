import { expect, test } from "vitest";

import { OWNERSHIP_ANNOTATION, writeOwnership } from "../../../src/openshift/ownership.ts";
import { observedInStream } from "../../../src/sync/targets/stream-observed.ts";
import { mirrorOf } from "../../plan/mirror.ts";

const OWNED = { installation: "here", mirror: "nginx", source: "quay.io/o/app:1", takeover: "done" } as const;

/** A stream whose spec tag came back after it was taken over. */
function contested(managedFields?: readonly object[]) {
  return {
    metadata: {
      name: "nginx",
      namespace: "web",
      resourceVersion: "7",
      annotations: { [OWNERSHIP_ANNOTATION]: writeOwnership(new Map([["1", OWNED]])) ?? "" },
      ...(managedFields ? { managedFields } : {}),
    },
    spec: { tags: [{ name: "1", from: { kind: "DockerImage", name: "quay.io/o/app:1" } }] },
  };
}

const contestedBy = (managedFields?: readonly object[]): string | undefined =>
  observedInStream(contested(managedFields), mirrorOf(), ["1"], "here")["1"]?.contestedBy;

test("who restored a spec tag is named where the stream records it, and no name is promised elsewhere", () => {
  const fieldsV1 = { "f:spec": { "f:tags": { 'k:{"name":"1"}': {} } } };
  expect(contestedBy([{ manager: "argocd-controller", time: "2026-01-01T00:00:00Z", fieldsV1 }])).toBe(
    "argocd-controller",
  );
  expect(contestedBy()).toBe("somebody (the stream records no field managers)");
  expect(contestedBy([])).toBe("somebody (the stream records no field managers)");
});
