import { isTagferryError } from "../../errors/error.ts";
import type { Cancellable } from "../../lib/cancel.ts";
import { mapConcurrently } from "../../lib/limit.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { RepositoryClient } from "../repository-client.ts";
import { headManifest, isUseless, resolveManifest } from "./manifests.ts";
import { listTags } from "./tags.ts";

const CONCURRENCY = 16;
/** From so many tags on a listing costs less than asking for each. */
const LISTED_MIN = 3;
/** A listing that is longer than this for each tag that is asked about is left. */
const LISTED_PER_TAG = 100;

/**
 * What these tags point at; those that are not there are missing in the answer.
 *
 * One HEAD each. Where the first one is not there, most of them may not be, as when a repository is filled for the first
 * time: then one listing tells which are worth asking for.
 */
export async function surveyTags(
  tags: readonly string[],
  endpoint: RepositoryClient,
  { signal }: Cancellable = {},
): Promise<ReadonlyMap<string, Descriptor>> {
  const found = new Map<string, Descriptor>();
  const [first] = tags;
  if (first === undefined) return found;
  const isWorthIt = tags.length >= LISTED_MIN && !isUseless(endpoint);
  const head = isWorthIt ? await headManifest(first, endpoint, { signal }) : undefined;
  if (head?.kind === "found") found.set(first, head.descriptor);
  const listed = head?.kind === "absent" ? await listedAmong(tags, endpoint, { signal }) : undefined;
  const asked = tags.filter((tag) => !found.has(tag) && (listed?.has(tag) ?? true));
  const resolve = async (tag: string): Promise<void> => {
    const descriptor = await resolveManifest(tag, endpoint, { signal });
    if (descriptor) found.set(tag, descriptor);
  };
  await Array.fromAsync(mapConcurrently(asked, CONCURRENCY, resolve));
  return found;
}

/** Which of these tags are listed; undefined where no listing is to be had, or a very long one. */
async function listedAmong(
  tags: readonly string[],
  endpoint: RepositoryClient,
  { signal }: Cancellable,
): Promise<ReadonlySet<string> | undefined> {
  const listed = new Set<string>();
  try {
    for await (const { tag } of listTags(endpoint, { signal })) {
      listed.add(tag);
      if (listed.size > tags.length * LISTED_PER_TAG) return undefined;
    }
    return listed;
  } catch (error) {
    signal?.throwIfAborted();
    return isTagferryError(error, "NAME_UNKNOWN") ? listed : undefined; // asking for each tells what is the matter
  }
}
