import { z } from "zod";

import type { Outcome } from "../../sync/report.ts";
import {
  causeSchema,
  countSchema,
  dateSchema,
  digestSchema,
  failureSchema,
  nameSchema,
  tagSchema,
  textSchema,
} from "../queue/job-schema.ts";
import type {
  DaemonEvent,
  MirrorRecord,
  Progress,
  Quarantine,
  RetryState,
  Run,
  RunMark,
  TagRecord,
} from "./record-types.ts";

/** The schemas of records in the store. A record that does not match its schema is ignored. */

const imageSchema = z.object({ bytes: countSchema, platforms: z.array(textSchema).max(1_000) });

const movedSchema = z.object({
  bytes: countSchema,
  blobs: z.object({ pushed: countSchema, mounted: countSchema, present: countSchema }),
  manifests: countSchema,
  referrers: countSchema,
  notCarried: countSchema,
  image: imageSchema.exactOptional(),
});

const outcomeShape = { mirror: nameSchema, tag: tagSchema };

export const outcomeSchema: z.ZodType<Outcome> = z.discriminatedUnion("kind", [
  z.object({
    ...outcomeShape,
    kind: z.enum(["copied", "imported"]),
    digest: digestSchema,
    replaced: digestSchema.exactOptional(),
    moved: movedSchema,
    healed: z
      .object({
        content: countSchema,
        referrers: countSchema,
        digests: z.array(digestSchema).exactOptional(),
      })
      .exactOptional(),
  }),
  z.object({ ...outcomeShape, kind: z.literal("pushed"), digest: digestSchema, moved: movedSchema }),
  z.object({
    ...outcomeShape,
    kind: z.literal("unchanged"),
    digest: digestSchema,
    since: dateSchema.exactOptional(),
    image: imageSchema.exactOptional(),
  }),
  z.object({ ...outcomeShape, kind: z.literal("pruned"), digest: digestSchema.exactOptional() }),
  z.object({ ...outcomeShape, kind: z.literal("missing"), since: dateSchema.exactOptional() }),
  z.object({ ...outcomeShape, kind: z.enum(["refused", "failed"]), failure: failureSchema }),
]);

const runStateSchema = z.enum(["running", "done", "partial", "failed", "cancelled"]);

export const runSchema: z.ZodType<Run> = z.object({
  id: nameSchema,
  mirror: nameSchema,
  cause: causeSchema,
  dueAt: dateSchema,
  startedAt: dateSchema,
  finishedAt: dateSchema.exactOptional(),
  state: runStateSchema,
  expected: countSchema.exactOptional(),
  outcomes: z.array(outcomeSchema),
  warnings: z.array(failureSchema),
  failure: failureSchema.exactOptional(),
});

export const markSchema: z.ZodType<RunMark> = z.object({
  id: nameSchema,
  cause: causeSchema,
  startedAt: dateSchema,
  finishedAt: dateSchema,
  state: z.enum(["done", "partial", "failed", "cancelled"]),
  bytes: countSchema,
  published: countSchema,
  failed: countSchema,
  warnings: z.array(failureSchema),
  failure: failureSchema.exactOptional(),
});

export const tagsSchema: z.ZodType<readonly string[]> = z.array(tagSchema);

export const tagRecordSchema: z.ZodType<TagRecord> = z.object({
  tag: tagSchema,
  digest: digestSchema.exactOptional(),
  publishedAt: dateSchema.exactOptional(),
  readAt: dateSchema.exactOptional(),
  publishedBefore: countSchema.exactOptional(),
  checkedAt: dateSchema,
  last: z.enum(["copied", "imported", "unchanged", "pruned", "missing", "refused", "failed"]),
  failure: failureSchema.exactOptional(),
  history: z.array(z.object({ digest: digestSchema, at: dateSchema })).max(100),
  image: imageSchema.extend({ referrers: countSchema.exactOptional() }).exactOptional(),
});

export const retrySchema: z.ZodType<RetryState> = z.object({
  failure: failureSchema,
  attempt: countSchema,
  at: dateSchema,
  nextAt: dateSchema,
  tag: tagSchema.exactOptional(),
});

/** Each field is checked alone, so that an invalid one does not hide the others. */
const mirrorFields = {
  lastDueAt: dateSchema,
  dueSince: dateSchema,
  lastRunAt: dateSchema,
  lastSuccessAt: dateSchema,
  failingSince: dateSchema,
  pausedAt: dateSchema,
  pausedBy: textSchema,
} satisfies Record<Exclude<keyof MirrorRecord, "retrying">, z.ZodType>;

export function parseMirrorFields(fields: ReadonlyMap<string, string>): Omit<MirrorRecord, "retrying"> {
  const known = Object.entries(mirrorFields).filter(
    ([name, schema]) => schema.safeParse(fields.get(name)).success,
  );
  return Object.fromEntries(known.map(([name]) => [name, fields.get(name)]));
}

export const progressSchema: z.ZodType<Progress> = z.object({
  mirror: nameSchema,
  tag: tagSchema,
  bytes: countSchema,
  totalBytes: countSchema.exactOptional(),
  startedAt: dateSchema,
  at: dateSchema,
});

export const quarantineSchema: z.ZodType<Quarantine> = z.object({
  mirror: nameSchema,
  key: textSchema,
  tag: tagSchema.exactOptional(),
  since: dateSchema,
  crashes: countSchema,
});

export const eventSchema: z.ZodType<DaemonEvent> = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("run"), mirror: nameSchema, run: nameSchema, state: runStateSchema }),
  z.object({ kind: z.literal("outcome"), mirror: nameSchema, outcome: outcomeSchema }),
  z.object({ kind: z.literal("progress"), mirror: nameSchema, progress: progressSchema }),
  z.object({ kind: z.literal("mirror"), mirror: nameSchema }),
  z.object({ kind: z.literal("config"), ok: z.boolean() }),
  z.object({ kind: z.literal("cancel"), mirror: nameSchema, runs: z.array(nameSchema).max(1_000) }),
]);
