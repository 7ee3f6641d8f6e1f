import { isTagferryError, TagferryError } from "../../errors/error.ts";
import { parseStrictJson } from "../../oci/json.ts";
import { isTag } from "../../oci/reference.ts";
import type { TagListing } from "./tag-listing.ts";

/**
 * The tag listing of the distribution specification: names only.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
 */
export const DISTRIBUTION_LISTING: TagListing = {
  firstPage(client) {
    const size = client.profile().tagsPageSize;
    return client.url(`tags/list${size === undefined ? "" : `?n=${size}`}`);
  },
  readPage(bytes, name) {
    const names = namesIn(bytes, name);
    return {
      tags: names.filter(isName).map((tag) => ({ tag })),
      invalid: names.filter((one) => !isName(one)).map((one) => JSON.stringify(one)),
    };
  },
};

function isName(one: unknown): one is string {
  return typeof one === "string" && isTag(one);
}

const CODES = {
  syntax: "TAGS_INVALID",
  depth: "TAGS_INVALID",
  duplicate: "TAGS_INVALID",
  encoding: "TAGS_INVALID",
} as const;

/** Adds to the errors of `parse` where they happened. */
function parseAt(where: string, parse: () => unknown): unknown {
  try {
    return parse();
  } catch (error) {
    if (!isTagferryError(error)) throw error;
    throw new TagferryError(error.code, error.message, { ...error.details, where, cause: error });
  }
}

/** `null` means an empty repository (docker-registry, Nexus). An answer without `tags` is not a listing. */
function namesIn(bytes: Uint8Array, name: string): readonly unknown[] {
  const subject = `the tag listing of ${name}`;
  const json = parseAt(name, () => parseStrictJson(bytes, { subject, codes: CODES }));
  const invalid = (found: string): TagferryError =>
    new TagferryError("TAGS_INVALID", `${subject} is not valid`, { where: name, found });
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw invalid("no object");
  const { tags } = json as { readonly tags?: unknown };
  if (tags === null) return [];
  if (!Array.isArray(tags)) throw invalid(`tags: ${typeof tags}`);
  return tags;
}
