import type { Mirror } from "../../src/config/config.ts";

/** A mirror from a registry into an image stream, with the defaults of the configuration. */
export function mirrorOf(changes: Partial<Mirror> = {}): Mirror {
  return {
    name: "nginx",
    source: { kind: "registry", registry: "harbor.corp.example", repository: "library/nginx" },
    target: { kind: "imagestream", namespace: "web", name: "nginx" },
    storage: { kind: "integrated" },
    tags: { kind: "rules", include: [{ kind: "all" }], exclude: [] },
    referrers: true,
    deadlineMs: 600_000,
    verifyEveryMs: 86_400_000,
    maxImageBytes: 500 * 1024 ** 3,
    takeover: false,
    referencePolicy: "source",
    ...changes,
  };
}
