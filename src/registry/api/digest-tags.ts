import { isTagferryError } from "../../errors/error.ts";
import { unlessAborted } from "../../lib/cancel.ts";
import { isDigestTag } from "../../oci/digest-tag.ts";
import type { ReferrersOptions } from "../../oci/store.ts";
import type { RepositoryClient } from "../repository-client.ts";
import { listTags } from "./tags.ts";

/** What the listing says about a tag. `unknown`: no listing can be read, or it is very long. */
export type Listed = "yes" | "no" | "unknown";

/** The tags of one repository that contain digests: cosign's tags, and the fallback tags of the referrers API. */
export type DigestTags = {
  /** `occasion`: see `ReferrersOptions`. */
  isListed(tag: string, client: RepositoryClient, options?: ReferrersOptions): Promise<Listed>;
  /** Call this after a tag was written. If it contains a digest, the listing is read again. */
  written(tag: string): void;
  /** The listing is read again at the next question. */
  forget(): void;
};

/** For longer listings, separate requests for each tag cost less. */
const LISTING_MAX_TAGS = 5_000;
const LISTING_GOOD_FOR_MS = 60_000;
const OCCASIONS_MAX = 4;

type Reading = { readonly tags: Promise<ReadonlySet<string> | undefined>; readAtMs: number };

export function openDigestTags(): DigestTags {
  const readings = new Map<string | undefined, Reading>();

  function isGood({ readAtMs }: Reading): boolean {
    return performance.now() - readAtMs <= LISTING_GOOD_FOR_MS;
  }

  /**
   * Mirrors with one source are checked on different occasions at the same time. Of these, the latest are remembered.
   */
  function makeRoom(): void {
    for (const [occasion, reading] of readings)
      if (readings.size >= OCCASIONS_MAX || !isGood(reading)) readings.delete(occasion);
  }

  /** All waiting callers share this read, so no caller can abort it for the others. */
  function read(
    client: RepositoryClient,
    occasion: string | undefined,
  ): Promise<ReadonlySet<string> | undefined> {
    const reading: Reading = {
      readAtMs: Infinity,
      tags: readDigestTags(client).finally(() => {
        reading.readAtMs = performance.now();
      }),
    };
    makeRoom();
    readings.set(occasion, reading);
    reading.tags.catch(() => {
      if (readings.get(occasion) === reading) readings.delete(occasion);
    });
    return reading.tags;
  }

  return {
    async isListed(tag, client, { occasion, signal } = {}) {
      const known = readings.get(occasion);
      const good = known && isGood(known) ? known.tags : undefined;
      const tags = await unlessAborted(good ?? read(client, occasion), signal);
      if (!tags) return "unknown";
      return tags.has(tag) ? "yes" : "no";
    },
    written(tag) {
      if (isDigestTag(tag)) readings.clear();
    },
    forget: () => readings.clear(),
  };
}

/** undefined: the listing is refused, or so long that separate requests for each tag cost less. */
async function readDigestTags(client: RepositoryClient): Promise<ReadonlySet<string> | undefined> {
  const tags = new Set<string>();
  let listed = 0;
  try {
    for await (const { tag } of listTags(client)) {
      listed += 1;
      if (listed > LISTING_MAX_TAGS) return undefined;
      if (isDigestTag(tag)) tags.add(tag);
    }
    return tags;
  } catch (error) {
    if (isTagferryError(error, "NAME_UNKNOWN", "AUTH_DENIED", "DENIED", "REQUEST_REJECTED", "TAGS_INVALID"))
      return undefined;
    throw error;
  }
}
