import { OCI_INDEX } from "../content/content.ts";
import { type Answer, failure, json } from "./exchange.ts";
import { listedReferrers } from "./manifests.ts";
import type { Repository } from "./repository.ts";
import type { RegistryRules } from "./rules.ts";

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags */
export function listTags(
  repo: Repository | undefined,
  name: string,
  url: URL,
  { tagsPage }: RegistryRules,
): Answer {
  if (repo === undefined) return failure(404, "NAME_UNKNOWN");
  const asked = Number(url.searchParams.get("n") ?? tagsPage);
  const size = Math.max(1, Math.min(Number.isFinite(asked) ? asked : tagsPage, tagsPage));
  const last = url.searchParams.get("last") ?? "";
  const rest = [...repo.tags.keys()].toSorted().filter((tag) => last === "" || tag > last);
  const page = rest.slice(0, size);
  const more = rest.length > page.length;
  const link = `</v2/${name}/tags/list?n=${size}&last=${page.at(-1) ?? ""}>; rel="next"`;
  return json(200, { name, tags: page }, more ? { link } : {});
}

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers */
export function listReferrers(
  repo: Repository | undefined,
  name: string,
  digest: string,
  url: URL,
  rules: RegistryRules,
): Answer {
  if (!rules.referrersApi) return failure(404, "NOT_FOUND", "404 page not found");
  const all = listedReferrers(repo, digest, rules);
  const from = Number(url.searchParams.get("from") ?? 0);
  const page = all.slice(from, from + rules.referrersPage);
  const next = from + page.length;
  const link = `</v2/${name}/referrers/${digest}?from=${next}>; rel="next"`;
  const body = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: page };
  const headers = { "content-type": OCI_INDEX, ...(next < all.length ? { link } : {}) };
  return { status: 200, headers, body: Buffer.from(JSON.stringify(body)) };
}
