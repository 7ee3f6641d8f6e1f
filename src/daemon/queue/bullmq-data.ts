import type { Queue as BullQueue } from "bullmq";
import { z } from "zod";

import { TagferryError } from "../../errors/error.ts";
import { countSchema, parseJob } from "./job-schema.ts";
import type { JobSigner } from "./job-signer.ts";
import type { Job } from "./job.ts";

/** A job as BullMQ stores it. `attempt`: how often it was given back. It changes, so it is not signed. */
export type Data = { readonly job: Job; readonly attempt: number; readonly signature: string };

const dataSchema = z.object({
  job: z.unknown(),
  attempt: countSchema.catch(0),
  signature: z.string().max(200).catch(""),
});

/**
 * Parses and verifies a job from Redis. `stored`: JSON, or what BullMQ parsed from it.
 *
 * @throws {TagferryError} JOB_INVALID
 */
export async function readData(stored: unknown, signer: JobSigner): Promise<Data> {
  const parsed = dataSchema.safeParse(typeof stored === "string" ? jsonOf(stored) : stored);
  if (!parsed.success) throw new TagferryError("JOB_INVALID", "a job of the queue is not one of ours");
  const { attempt, signature } = parsed.data;
  const job = parseJob(parsed.data.job);
  await signer.verify(job, signature);
  return { job, attempt, signature };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // does not match the schema
  }
}

/** The key where BullMQ stores the job that follows the active one (`keepLastIfActive`). */
export function nextKey(queue: BullQueue<Data>, id: string): string {
  return queue.toKey(`dn:${id}`);
}
