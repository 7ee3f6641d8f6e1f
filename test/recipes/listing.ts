import { after, type Recipe } from "./recipe.ts";

/** Example: Quay's own API lists tags with their digests. */
export const LISTING: Recipe = {
  title: "A way to list tags",
  generated: [],
  edits: [
    {
      file: "src/registry/listing/quay.ts",
      create: `import { TagferryError } from "../../errors/error.ts";
import type { Cancellable } from "../../lib/cancel.ts";
import { isDigest } from "../../oci/digest.ts";
import { parseStrictJson } from "../../oci/json.ts";
import { isTag } from "../../oci/reference.ts";
import type { ListedTag } from "../../oci/store.ts";
import type { RepositoryClient } from "../repository-client.ts";

const PAGE_MAX_BYTES = 4 * 1024 * 1024;
const PAGES_MAX = 10_000;
const CODES = {
  syntax: "TAGS_INVALID",
  depth: "TAGS_INVALID",
  duplicate: "TAGS_INVALID",
  encoding: "TAGS_INVALID",
} as const;

type Page = { readonly tags?: unknown; readonly has_additional?: unknown };
type Entry = { readonly name?: unknown; readonly manifest_digest?: unknown; readonly is_manifest_list?: unknown };

/** Every tag with its digest, 100 per request. */
export async function* listByQuay(
  client: RepositoryClient,
  { signal }: Cancellable = {},
): AsyncGenerator<ListedTag, void, void> {
  for (let number = 1; number <= PAGES_MAX; number += 1) {
    const path = \`/api/v1/repository/\${client.repository}/tag/?onlyActiveTags=true&limit=100&page=\${number}\`;
    await using answer = await client.requester.ask(
      {
        method: "GET",
        url: new URL(path, client.url("")),
        scopes: client.pull,
        subject: { action: "list", what: "tags", where: client.name },
        expect: [200],
      },
      { signal },
    );
    const bytes = await answer.bytes(PAGE_MAX_BYTES);
    const page = parseStrictJson(bytes, { subject: \`the tags of \${client.name}\`, codes: CODES }) as Page;
    if (!Array.isArray(page.tags)) throw invalid(client);
    for (const tag of page.tags as readonly Entry[]) yield listed(tag, client);
    if (page.has_additional !== true) return;
  }
}

function listed({ name, manifest_digest: digest, is_manifest_list: isIndex }: Entry, client: RepositoryClient): ListedTag {
  if (typeof name !== "string" || !isTag(name) || typeof digest !== "string" || !isDigest(digest))
    throw invalid(client);
  const type = isIndex === true ? "index" : "manifest";
  return { tag: name, image: { mediaType: \`application/vnd.oci.image.\${type}.v1+json\`, digest, size: -1 } };
}

function invalid({ name }: RepositoryClient): TagferryError {
  return new TagferryError("TAGS_INVALID", \`the answer of \${name} is not a tag listing\`, { where: name });
}
`,
    },
    after(
      "src/registry/profile.ts",
      "  readonly tagsPageSize: number | undefined;\n",
      `  /** \`tags\`: the distribution API. \`quay\`: Quay's own API, which has the digests too. */\n  readonly listing: "tags" | "quay";\n`,
    ),
    after("src/registry/profile.ts", "  tagsPageSize: 1000,\n", `  listing: "tags",\n`),
    {
      file: "src/registry/profile.ts",
      replace: `kind: "quay", `,
      by: `kind: "quay", listing: "quay", `,
    },
    { file: "src/registry/repository.ts", replace: "=> listTags(", by: "=> list(" },
    {
      file: "src/registry/repository.ts",
      replace: `import type { BlobLocations } from "./blob-locations.ts";\n`,
      by: `import type { BlobLocations } from "./blob-locations.ts";\nimport { listByQuay } from "./listing/quay.ts";\n`,
    },
    after(
      "src/registry/repository.ts",
      "export type RegistryRepository = ImageSource & ImageTarget;\n",
      `
function list(client: RepositoryClient, options?: Parameters<ImageSource["listing"]>[0]): ReturnType<ImageSource["listing"]> {
  switch (client.profile().listing) {
    case "tags":
      return listTags(client, options);
    case "quay":
      return listByQuay(client, options);
  }
}
`,
    ),
    {
      file: "test/registry/listing/quay.test.ts",
      create: `import { expect, test } from "vitest";

import { digestOf } from "../../../src/oci/digest.ts";
import { registryClient } from "../../support/registry/client.ts";
import { startRegistry } from "../../support/registry/registry.ts";
import { json } from "../../support/registry/wire.ts";

const digest = digestOf(Buffer.from("one"));

test("Quay lists tags with their digests, a page per request", async () => {
  await using registry = await startRegistry({
    other: ({ path, parameters }) =>
      path.startsWith("/api/v1/repository/a/app/tag/")
        ? json(200, {
            tags: [{ name: \`v\${parameters.get("page")}\`, manifest_digest: digest }],
            has_additional: parameters.get("page") === "1",
          })
        : undefined,
  });
  await using quay = registryClient(registry.host, { kind: "quay" });
  const listed = await Array.fromAsync(quay.repository("a/app").listing());
  expect(listed.map(({ tag, image }) => [tag, image?.digest])).toEqual([["v1", digest], ["v2", digest]]);
  expect(registry.ledger.entries).toHaveLength(2);
});

test("what is not a listing fails, and is never an empty listing", async () => {
  await using registry = await startRegistry({ other: () => json(200, { error: "login" }) });
  await using quay = registryClient(registry.host, { kind: "quay" });
  await expect(Array.fromAsync(quay.repository("a/app").listing())).rejects.toMatchObject({ code: "TAGS_INVALID" });
});
`,
    },
  ],
  probe: ["test/registry/listing/quay.test.ts"],
};
