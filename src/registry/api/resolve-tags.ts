import { isTagferryError } from "../../errors/error.ts";
import type { Cancellable } from "../../lib/cancel.ts";
import { mapConcurrently } from "../../lib/limit.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { RepositoryClient } from "../repository-client.ts";
import { headManifest, resolveManifest } from "./manifests.ts";
import { listTags } from "./tags.ts";

const CONCURRENCY = 16;
/** From this number of tags on, a listing costs less than one request per tag. */
const LISTED_MIN = 3;
/** Reading the listing stops when it has more than this many entries per requested tag. */
const LISTED_PER_TAG = 100;

/**
 * The descriptors of these tags. Tags that do not exist are missing in the result, and tags that a policy of the registry
 * forbids to read (412; Harbor: content trust, vulnerabilities): they can be written.
 *
 * Sends one HEAD per tag. If the first tag does not exist, most of the others may not exist either, for example when a
 * repository is filled for the first time. Then one listing shows which tags are worth a request.
 */
export async function surveyTags(
  tags: readonly string[],
  client: RepositoryClient,
  { signal }: Cancellable = {},
): Promise<ReadonlyMap<string, Descriptor>> {
  const found = new Map<string, Descriptor>();
  const [first] = tags;
  if (first === undefined) return found;
  const isWorthIt = tags.length >= LISTED_MIN && client.observations.head.isUsable();
  const head = isWorthIt ? await unlessForbidden(() => headManifest(first, client, { signal })) : undefined;
  if (head?.kind === "found") found.set(first, head.descriptor);
  const listed = head?.kind === "absent" ? await listedAmong(tags, client, { signal }) : undefined;
  const asked = tags.filter((tag) => !found.has(tag) && (listed?.has(tag) ?? true));
  const resolve = async (tag: string): Promise<void> => {
    const descriptor = await unlessForbidden(() => resolveManifest(tag, client, { signal }));
    if (descriptor) found.set(tag, descriptor);
  };
  await Array.fromAsync(mapConcurrently(asked, CONCURRENCY, resolve));
  return found;
}

async function unlessForbidden<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (isTagferryError(error, "SOURCE_POLICY")) return undefined;
    throw error;
  }
}

/** The requested tags that are listed; undefined when the listing cannot be read or is very long. */
async function listedAmong(
  tags: readonly string[],
  client: RepositoryClient,
  { signal }: Cancellable,
): Promise<ReadonlySet<string> | undefined> {
  const listed = new Set<string>();
  try {
    for await (const { tag } of listTags(client, { signal })) {
      listed.add(tag);
      if (listed.size > tags.length * LISTED_PER_TAG) return undefined;
    }
    return listed;
  } catch (error) {
    signal?.throwIfAborted();
    return isTagferryError(error, "NAME_UNKNOWN") ? listed : undefined; // the request for each tag will show the error
  }
}
