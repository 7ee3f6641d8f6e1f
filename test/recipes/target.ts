import { after, before, type Recipe } from "./recipe.ts";

/** Example: `digests:FILE`, a JSON file with the digest of each tag. No bytes are copied. */
export const TARGET: Recipe = {
  title: "A kind of target",
  generated: ["config/schema.json", "docs/config.md", "helm/values.schema.json"],
  edits: [
    {
      file: "src/config/config.ts",
      replace: `  | { readonly kind: "imagestream"; readonly namespace: string; readonly name: string };\n`,
      by: `  | { readonly kind: "imagestream"; readonly namespace: string; readonly name: string }
  /** A JSON file with the digest of each tag. */
  | { readonly kind: "digests"; readonly file: string };
`,
    },
    after(
      "src/config/target.ts",
      "export function readTarget(text: string, reader: MirrorReader): Target | undefined {\n",
      `  if (text.startsWith("digests:"))
    return { kind: "digests", file: resolve(reader.directory, text.slice("digests:".length)) };
`,
    ),
    before(
      "src/config/mirrors.ts",
      `    case "layout":\n`,
      `    case "digests":
      return target.file.split("/").at(-1) ?? "digests";
`,
    ),
    before(
      "src/config/target-name.ts",
      `  return target.kind === "imagestream"`,
      '  if (target.kind === "digests") return `digests:${target.file}`;\n',
    ),
    {
      file: "src/config/file/mirror-schema.ts",
      replace: "imagestream:NAMESPACE/NAME, registry/repository, or oci:DIR.",
      by: "imagestream:NAMESPACE/NAME, registry/repository, oci:DIR, or digests:FILE.",
    },
    before(
      "src/sync/targets/open.ts",
      `    case "registry":\n`,
      `    case "digests":
      return digestsTarget(target.file);
`,
    ),
    before(
      "src/sync/targets/open.ts",
      "import { streamTarget }",
      `import { digestsTarget } from "./digests.ts";\n`,
    ),
    {
      file: "src/sync/targets/digests.ts",
      create: `import { readFile, rename, writeFile } from "node:fs/promises";

import { errnoOf, onDisk } from "../../errors/disk.ts";
import { TagferryError } from "../../errors/error.ts";
import { isDigest } from "../../oci/digest.ts";
import { parseStrictJson } from "../../oci/json.ts";
import type { Observed, ObservedTag } from "../../plan/action.ts";
import type { MirrorTarget, Publisher, TagFailures } from "./target.ts";

const CODES = { syntax: "DISK", depth: "DISK", duplicate: "DISK", encoding: "DISK" } as const;
const NONE: TagFailures = new Map();

/** A JSON file with the digest of each tag: for other programs that pin images. */
export function digestsTarget(file: string): MirrorTarget {
  return {
    name: \`digests:\${file}\`,
    jobsOf: (actions) => (actions.length > 0 ? [actions] : []),
    observe: async (tags) => {
      const digests = await readDigests(file);
      return Object.fromEntries(tags.map((tag) => [tag, observed(digests[tag])])) satisfies Observed["tags"];
    },
    publisher: () => digestsPublisher(file),
  };
}

function observed(digest: unknown): ObservedTag {
  return typeof digest === "string" && isDigest(digest)
    ? { digest, inPlace: true, owner: { kind: "us" } }
    : { inPlace: false, owner: { kind: "free" } };
}

function digestsPublisher(file: string): Publisher {
  return {
    imports: true,
    claim: async () => NONE,
    copyTarget: async () => undefined,
    publish: async (copied) => {
      const changed = copied.map(({ change }) => [change.tag, change.image.digest]);
      await writeDigests(file, { ...(await readDigests(file)), ...Object.fromEntries(changed) });
      return NONE;
    },
    remove: async () => NONE,
    explain: (failure) => failure,
    remember: async () => {},
    notice: async () => {},
  };
}

async function readDigests(file: string): Promise<Readonly<Record<string, unknown>>> {
  const bytes = await readFile(file).catch((error: unknown) => {
    if (errnoOf(error) === "ENOENT") return Buffer.from("{}");
    throw error;
  });
  const digests = parseStrictJson(bytes, { subject: file, codes: CODES });
  if (typeof digests === "object" && digests !== null && !Array.isArray(digests)) return { ...digests };
  throw new TagferryError("DISK", \`\${file} is not a map of digests\`, { where: file });
}

/** The file is replaced as a whole, so that a reader never sees half of it. */
async function writeDigests(file: string, digests: object): Promise<void> {
  await onDisk(file, async () => {
    await writeFile(\`\${file}.new\`, \`\${JSON.stringify(digests, undefined, 2)}\\n\`);
    await rename(\`\${file}.new\`, file);
  });
}
`,
    },
    {
      file: "test/sync/targets/digests.test.ts",
      create: `import { readFile } from "node:fs/promises";

import { expect, test } from "vitest";

import { buildImage, pushTo } from "../../support/images/images.ts";
import { outcomesOf, syncWith } from "../../support/in-process.ts";
import { startRegistry } from "../../support/registry/registry.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

test("a file gets the digest of each tag, and the second run changes nothing", async () => {
  await using directory = await temporaryDirectory();
  await using registry = await startRegistry();
  const image = buildImage({ seed: "digests", layers: 1 });
  await pushTo(registry, "a/app", image, "1");
  const config = {
    registries: { [registry.host]: { plainHttp: true } },
    mirrors: [{ source: \`\${registry.host}/a/app\`, target: "digests:images.json", tags: ["1"] }],
  };
  expect(outcomesOf(await syncWith(directory, config))).toEqual({ "1": "imported" });
  expect(JSON.parse(await readFile(directory.join("images.json"), "utf8"))).toEqual({ "1": image.manifest.digest });
  expect(outcomesOf(await syncWith(directory, config))).toEqual({ "1": "unchanged" });
});
`,
    },
  ],
  probe: ["test/sync/targets/digests.test.ts"],
};
