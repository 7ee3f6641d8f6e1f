import { z } from "zod";

import { ERROR_CODES, type ErrorCode } from "../../errors/codes.ts";
import { type Failure, TagferryError } from "../../errors/error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { type Digest, isDigest } from "../../oci/digest.ts";
import { isTag } from "../../oci/reference.ts";
import type { Action } from "../../plan/action.ts";
import type { Job } from "./job.ts";

/** Schemas for content from Redis or a file, which others may have written: names, digests and dates are checked. */

const NAME_MAX = 512;
const TEXT_MAX = 4_096;
const ACTIONS_MAX = 20_000;

export const nameSchema = z.string().min(1).max(NAME_MAX);
export const textSchema = z.string().max(TEXT_MAX);
export const dateSchema = z
  .string()
  .max(40)
  .refine((text) => !Number.isNaN(Date.parse(text)), { message: "no date" });
export const tagSchema = z.string().refine(isTag, { message: "no tag" });
export const digestSchema = z.custom<Digest>(isDigest, { message: "no digest" });
export const codeSchema = z.custom<ErrorCode>(
  (code) => typeof code === "string" && Object.hasOwn(ERROR_CODES, code),
  { message: "no error code" },
);
export const countSchema = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

export const failureSchema: z.ZodType<Failure> = z.object({
  code: codeSchema,
  message: textSchema,
  next: textSchema,
  details: z.record(z.string(), z.unknown()),
});

const descriptorSchema: z.ZodType<Descriptor> = z.looseObject({
  digest: digestSchema,
  mediaType: nameSchema,
  size: countSchema,
});

const baseShape = {
  mirror: nameSchema,
  tag: tagSchema,
  from: z.object({ source: textSchema, tag: tagSchema }),
  readAt: dateSchema,
};

const actionSchema: z.ZodType<Action> = z.discriminatedUnion("kind", [
  z.object({
    ...baseShape,
    kind: z.enum(["create", "update"]),
    image: descriptorSchema,
    takeover: z.boolean(),
    replaces: digestSchema.exactOptional(),
    reason: textSchema,
    verify: z.enum(["referrers", "content", "bytes"]).exactOptional(),
    digestTags: z.array(tagSchema).exactOptional(),
    since: dateSchema.exactOptional(),
  }),
  z.object({ ...baseShape, kind: z.literal("push"), image: descriptorSchema, reason: textSchema }),
  z.object({
    ...baseShape,
    kind: z.literal("keep"),
    digest: digestSchema,
    reason: textSchema,
    since: dateSchema.exactOptional(),
  }),
  z.object({
    ...baseShape,
    kind: z.literal("prune"),
    digest: digestSchema.exactOptional(),
    missingSince: dateSchema,
    reason: textSchema,
  }),
  z.object({
    ...baseShape,
    kind: z.literal("remember"),
    missingSince: dateSchema.exactOptional(),
    reason: textSchema,
  }),
  z.object({ ...baseShape, kind: z.literal("refuse"), failure: failureSchema }),
]);

export const causeSchema = z.enum(["schedule", "first", "missed", "asked", "webhook", "retry", "stream"]);

const jobSchema: z.ZodType<Job> = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("check"),
    mirror: nameSchema,
    run: nameSchema,
    dueAt: dateSchema,
    cause: causeSchema,
    movedAt: dateSchema.exactOptional(),
  }),
  z
    .object({
      kind: z.literal("apply"),
      mirror: nameSchema,
      run: nameSchema,
      actions: z.array(actionSchema).min(1).max(ACTIONS_MAX),
      reading: countSchema,
      plannedAt: dateSchema,
      movedAt: dateSchema.exactOptional(),
    })
    .refine(({ mirror, actions }) => actions.every((action) => action.mirror === mirror), {
      message: "an action of another mirror",
    }),
]);

/**
 * Parses a job from Redis.
 *
 * @throws {TagferryError} JOB_INVALID
 */
export function parseJob(value: unknown): Job {
  const parsed = jobSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new TagferryError("JOB_INVALID", "a job of the queue is not one of ours", {
    where: issue?.path.join("."),
    found: issue?.message,
  });
}

/** Parses a stored record; undefined if it does not match the schema. */
export function parseRecord<T>(schema: z.ZodType<T>, text: string | undefined): T | undefined {
  if (text === undefined) return undefined;
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined; // not JSON
  }
}
