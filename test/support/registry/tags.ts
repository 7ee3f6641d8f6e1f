import type { RegistryContext } from "./handler.ts";
import { type Answer, json, refusal, type RegistryRequest } from "./wire.ts";

/** GET tags/list with `n` and `last`. @see distribution-spec, "Listing Tags" */
export async function handleTags(context: RegistryContext, request: RegistryRequest): Promise<Answer> {
  const { hooks, behaviour } = context;
  const { repository, parameters, method } = request;
  if (method !== "GET" && method !== "HEAD") return refusal(405, "UNSUPPORTED");
  const listed = await hooks.listTags(repository, request);
  if (!listed)
    return refusal(404, "NAME_UNKNOWN", "repository name not known to registry", { name: repository });
  const tags = inOrder(listed, behaviour.tagOrder);
  const last = parameters.get("last");
  const asked = behaviour.ignoreN ? null : parameters.get("n");
  if (asked !== null && !/^\d+$/.test(asked)) return refusal(400, "PAGINATION_NUMBER_INVALID");
  const from = last === null || behaviour.ignoreN ? 0 : startAfter(tags, last, behaviour.tagOrder);
  const size = Math.min(
    asked === null ? (behaviour.pageSize ?? Number.POSITIVE_INFINITY) : Number(asked),
    behaviour.maxPageSize ?? Number.POSITIVE_INFINITY,
  );
  const page = tags.slice(from, from + size);
  const more = size > 0 && from + size < tags.length;
  const next = more ? nextPage(context, repository, page.at(-1) ?? "", size) : undefined;
  const body = { name: repository, tags: page.length === 0 && behaviour.nullTags ? null : page };
  return json(200, body, next === undefined ? {} : { link: `<${next}>; rel="next"` });
}

function inOrder(tags: readonly string[], order: "lexical" | "pushed" | "reverse"): readonly string[] {
  if (order === "pushed") return tags;
  const sorted = tags.toSorted((one, other) => (one < other ? -1 : 1));
  return order === "reverse" ? sorted.toReversed() : sorted;
}

function startAfter(tags: readonly string[], last: string, order: "lexical" | "pushed" | "reverse"): number {
  const at = tags.indexOf(last);
  if (at !== -1) return at + 1;
  if (order === "pushed") return tags.length;
  const after = tags.findIndex((tag) => (order === "lexical" ? tag > last : tag < last));
  return after === -1 ? tags.length : after;
}

function nextPage(
  { behaviour: { link }, url }: RegistryContext,
  repository: string,
  last: string,
  size: number,
): string | undefined {
  const next = `/v2/${repository}/tags/list?last=${encodeURIComponent(last)}&n=${size}`;
  if (typeof link === "function") return link(next);
  if (link === "none") return undefined;
  return link === "absolute" ? `${url()}${next}` : next;
}
