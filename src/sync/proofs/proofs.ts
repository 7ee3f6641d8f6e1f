import { type Digest, isDigest } from "../../oci/digest.ts";
import type { Verify } from "../../plan/action.ts";

/** What is known about a published tag. All times are ISO dates. */
export type ProofRecord = {
  readonly digest: Digest;
  /** Since when the tag has this digest, as far as Tagferry knows. */
  readonly since: string;
  /** When all content of the tag was last published by Tagferry, or found complete. */
  readonly provedAt: string;
  /** When the source was last asked for referrers of the image. */
  readonly referrersAt: string;
  /** The manifests beneath the image, as far as they are known. They can be signed too. */
  readonly beneath?: readonly Digest[];
  /** The digest tags of all these in the source's listing, when the source was last asked for referrers. */
  readonly digestTags?: readonly string[];
};

/** Remembers proofs by target and tag. A lost record only costs requests. */
export type ProofStore = {
  read(target: string): Promise<ReadonlyMap<string, ProofRecord>>;
  write(target: string, tag: string, record: ProofRecord): Promise<void>;
};

/** Reads a stored record; undefined when it is not valid. */
export function parseProof(value: unknown): ProofRecord | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const record = value as Readonly<Record<string, unknown>>;
  const { digest, since, provedAt, referrersAt, beneath, digestTags } = record;
  if (!isDigest(digest) || !isDate(since) || !isDate(provedAt) || !isDate(referrersAt)) return undefined;
  return {
    digest,
    since,
    provedAt,
    referrersAt,
    ...(isDigests(beneath) ? { beneath } : {}),
    ...(isTexts(digestTags) ? { digestTags } : {}),
  };
}

function isDigests(value: unknown): value is readonly Digest[] {
  return Array.isArray(value) && value.every(isDigest);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function isDate(value: unknown): value is string {
  return typeof value === "string" && !Number.isNaN(Date.parse(value));
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/**
 * What has to be verified for an unchanged tag. Pure.
 *
 * Content: once when the tag was found in place and Tagferry did not publish it, then once in every period of
 * `verifyEveryMs`. The time within the period depends on `key`, so that the tags of an installation are spread over the
 * period. Referrers: signatures usually arrive minutes after their image, so checks are frequent after the publication
 * and become rare later.
 */
export function dueFor(
  record: ProofRecord | undefined,
  {
    key,
    digest,
    verifyEveryMs,
    now,
  }: {
    readonly key: string;
    readonly digest: Digest;
    readonly verifyEveryMs: number;
    readonly now: Date;
  },
): Verify | undefined {
  if (record?.digest !== digest) return "content";
  const nowMs = now.getTime();
  const offsetMs = shareOf(key) * verifyEveryMs;
  const periodOf = (ms: number): number => Math.floor((ms - offsetMs) / verifyEveryMs);
  const provedMs = Date.parse(record.provedAt);
  // a record from the future means that the clock was set back: do not trust it
  if (provedMs > nowMs + MINUTE_MS || periodOf(nowMs) > periodOf(provedMs)) return "content";
  const ageMs = nowMs - Date.parse(record.since);
  const restMs = ageMs < HOUR_MS ? 5 * MINUTE_MS : ageMs < DAY_MS ? HOUR_MS : DAY_MS;
  return nowMs - Date.parse(record.referrersAt) >= restMs ? "referrers" : undefined;
}

/**
 * Maps a text to a fixed number in [0, 1). FNV-1a, with extra mixing so that texts with different ends give distant
 * numbers.
 */
function shareOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
