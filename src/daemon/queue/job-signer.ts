import { createHmac, timingSafeEqual } from "node:crypto";

import { openSecretFile } from "../../config/credentials/secret-file.ts";
import { TagferryError } from "../../errors/error.ts";
import type { Job } from "./job.ts";

/**
 * Signs and verifies the jobs in Redis, so that write access to Redis is not enough to create jobs.
 * HMAC-SHA256 over the job as canonical JSON.
 */
export type JobSigner = {
  /** Empty without a key. */
  sign(job: Job): Promise<string>;
  /** @throws {TagferryError} JOB_INVALID */
  verify(job: Job, signature: string): Promise<void>;
};

export const UNSIGNED: JobSigner = { sign: async () => "", verify: async () => {} };

/**
 * `path`: one key per line. The first key signs, and all of them verify, so that a key can be replaced while workers
 * run. The file is read again when it changes.
 */
export function openJobSigner(path: string): JobSigner {
  const read = openSecretFile(path);
  const keys = async (): Promise<readonly string[]> =>
    (await read()).split("\n").flatMap((line) => (line.trim() === "" ? [] : [line.trim()]));
  return {
    async sign(job) {
      const [key = ""] = await keys();
      return hmac(key, job).toString("base64url");
    },
    async verify(job, signature) {
      const given = Buffer.from(signature, "base64url");
      for (const key of await keys()) {
        const wanted = hmac(key, job);
        if (given.length === wanted.length && timingSafeEqual(given, wanted)) return;
      }
      throw new TagferryError("JOB_INVALID", `a job of ${job.mirror} has no valid signature`, {
        where: job.mirror,
        found: signature === "" ? "no signature" : "another key's signature",
        allowed: "one made with a key of daemon.jobKeyFile",
      });
    },
  };
}

function hmac(key: string, job: Job): Buffer {
  return createHmac("sha256", key).update(canonicalJson(job)).digest();
}

/** JSON with sorted keys and without white space: the same text for the same content. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .toSorted(([one], [other]) => (one < other ? -1 : 1));
  return `{${entries.map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`).join(",")}}`;
}
