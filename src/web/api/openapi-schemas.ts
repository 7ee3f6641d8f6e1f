import { MIRROR_STATES } from "../../daemon/view/view.ts";
import { DONE } from "./act.ts";

type Schema = Readonly<Record<string, unknown>>;

const TEXT: Schema = { type: "string" };
const TIME: Schema = { type: "string", format: "date-time" };
const COUNT: Schema = { type: "integer", minimum: 0 };
const NUMBER: Schema = { type: "number" };
const CAUSE: Schema = {
  enum: ["schedule", "first", "missed", "asked", "webhook", "retry", "stream"],
};
const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });
const many = (items: Schema): Schema => ({ type: "array", items });

/** An object schema. Properties whose name ends in `?` are optional. */
function object(properties: Readonly<Record<string, Schema>>): Schema {
  return {
    type: "object",
    required: Object.keys(properties).filter((key) => !key.endsWith("?")),
    properties: Object.fromEntries(
      Object.entries(properties).map(([key, schema]) => [key.replace(/\?$/, ""), schema]),
    ),
  };
}

/** The schemas of the answers. Times are ISO, in UTC. */
export function schemas(): Readonly<Record<string, Schema>> {
  return {
    Failure: object({
      code: { ...TEXT, description: "Codes are stable; docs/errors.md lists them." },
      message: TEXT,
      next: { ...TEXT, description: "What to do." },
      "details?": { type: "object" },
    }),
    Done: object({ mirror: TEXT, result: { enum: DONE } }),
    DoneToMany: object({
      results: many(object({ mirror: TEXT, result: { enum: [...DONE, "unknown"] } })),
    }),
    Readiness: object({ ready: { type: "boolean" }, reasons: many(TEXT) }),
    ...mirrorSchemas(),
    ...healthSchemas(),
  };
}

function mirrorSchemas(): Readonly<Record<string, Schema>> {
  return {
    Mirror: object({
      name: TEXT,
      source: TEXT,
      target: TEXT,
      registry: { ...TEXT, description: "The host of the source; oci for a layout." },
      "namespace?": { ...TEXT, description: "Of the image stream." },
      "labels?": { type: "object", additionalProperties: TEXT },
      "pullFrom?": { ...TEXT, description: "registry/repository from which clients pull the tags." },
      "storage?": { ...TEXT, description: "Where the images of an image stream are stored." },
      "schedule?": object({ cron: TEXT, timeZone: TEXT, jitterMs: COUNT }),
      state: { enum: MIRROR_STATES },
      states: { ...many({ enum: MIRROR_STATES }), description: "All that hold; state is one of them." },
      tags: COUNT,
      failedTags: COUNT,
      "nextRunAt?": TIME,
      "lastRunAt?": TIME,
      "lastSuccessAt?": TIME,
      "failingSince?": TIME,
      latenessS: {
        ...COUNT,
        description: "Seconds since the first due time after the last finished run; 0 while paused.",
      },
      "pausedAt?": TIME,
      "pausedBy?": TEXT,
      underWay: many(ref("Progress")),
      quarantined: many(object({ mirror: TEXT, key: TEXT, "tag?": TEXT, since: TIME, crashes: COUNT })),
      "run?": object({ id: TEXT, cause: CAUSE, startedAt: TIME, "expected?": COUNT, done: COUNT }),
      recent: many(ref("RunMark")),
      "failure?": ref("Failure"),
      "reason?": { ...TEXT, description: "Why the mirror fails or waits at the moment." },
      "retrying?": object({ failure: ref("Failure"), attempt: COUNT, at: TIME, nextAt: TIME, "tag?": TEXT }),
      "pauses?": many(ref("RegistryPause")),
    }),
    RegistryPause: object({
      registry: TEXT,
      kind: {
        enum: ["unresponsive", "paused"],
        description: "unresponsive: the registry does not answer. paused: it asked for a pause.",
      },
      since: TIME,
      until: { ...TIME, description: "When the next request is sent." },
    }),
    Progress: object({
      mirror: TEXT,
      tag: TEXT,
      bytes: COUNT,
      "totalBytes?": COUNT,
      startedAt: TIME,
      at: TIME,
      bytesPerSecond: NUMBER,
    }),
    MirrorDetail: object({
      mirror: ref("Mirror"),
      tags: many(ref("Tag")),
      runs: many(ref("Run")),
      day: many(object({ from: TIME, bytes: COUNT, published: COUNT, "freshnessMs?": COUNT })),
    }),
    Tag: object({
      tag: TEXT,
      "digest?": TEXT,
      "publishedAt?": TIME,
      checkedAt: TIME,
      last: ref("OutcomeKind"),
      "failure?": ref("Failure"),
      history: many(object({ digest: TEXT, at: TIME })),
      "image?": object({ bytes: COUNT, platforms: many(TEXT), "referrers?": COUNT }),
    }),
    RunMark: object({
      id: TEXT,
      cause: CAUSE,
      startedAt: TIME,
      finishedAt: TIME,
      state: { enum: ["done", "partial", "failed", "cancelled"] },
      bytes: COUNT,
      published: COUNT,
      failed: COUNT,
      warnings: many(ref("Failure")),
      "failure?": ref("Failure"),
    }),
    Run: object({
      id: TEXT,
      mirror: TEXT,
      cause: CAUSE,
      dueAt: TIME,
      startedAt: TIME,
      "finishedAt?": TIME,
      state: { enum: ["running", "done", "partial", "failed", "cancelled"] },
      "expected?": COUNT,
      outcomes: many(
        object({
          kind: ref("OutcomeKind"),
          mirror: TEXT,
          tag: TEXT,
          "digest?": TEXT,
          "failure?": ref("Failure"),
        }),
      ),
      warnings: many(ref("Failure")),
      "failure?": ref("Failure"),
    }),
    OutcomeKind: {
      enum: ["copied", "imported", "pushed", "unchanged", "pruned", "missing", "refused", "failed"],
    },
  };
}

function healthSchemas(): Readonly<Record<string, Schema>> {
  return {
    Health: object({
      version: TEXT,
      startedAt: TIME,
      ready: { type: "boolean" },
      reasons: many(TEXT),
      config: object({ file: TEXT, fingerprint: TEXT, loadedAt: TIME, "failure?": ref("Failure") }),
      "redis?": object({ kind: { enum: ["up", "away", "unfit"] }, "since?": TIME, "reason?": TEXT }),
      "jobs?": object({ waiting: COUNT, active: COUNT, delayed: COUNT }),
      workers: COUNT,
      streamWatches: many(ref("StreamWatch")),
      rateLimits: many(ref("RateLimit")),
    }),
    StreamWatch: object({
      namespace: TEXT,
      kind: { enum: ["beginning", "watching", "away", "denied"] },
      since: TIME,
      "reason?": TEXT,
    }),
    RateLimit: object({
      registry: TEXT,
      connections: COUNT,
      inUse: COUNT,
      "requestsPerSecond?": NUMBER,
      "pullsLeft?": COUNT,
      "pausedSince?": TIME,
      "pausedUntil?": TIME,
      "unresponsiveSince?": TIME,
      "unresponsiveUntil?": {
        ...TIME,
        description: "The registry does not answer. The next request is sent at this time.",
      },
    }),
  };
}
