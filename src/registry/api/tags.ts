import type { Cancellable } from "../../lib/cancel.ts";
import type { ListedTag } from "../../oci/store.ts";
import { DISTRIBUTION_LISTING } from "../listing/distribution.ts";
import { readListing } from "../listing/tag-listing.ts";
import type { RepositoryClient } from "../repository-client.ts";

/** Every tag of a repository, each once, from the distribution API. */
export function listTags(
  client: RepositoryClient,
  options: Cancellable = {},
): AsyncGenerator<ListedTag, void, void> {
  return readListing(DISTRIBUTION_LISTING, client, options);
}
