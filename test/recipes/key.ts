import { after, before, type Recipe } from "./recipe.ts";

/** Example: `description` of a mirror is printed by `tagferry plan`. */
export const KEY: Recipe = {
  title: "A key of the configuration",
  generated: ["config/schema.json", "docs/config.md", "helm/values.schema.json"],
  edits: [
    before(
      "src/config/file/mirror-schema.ts",
      "  schedule: text(",
      `  description: text("What the mirror is for; \`tagferry plan\` prints it.", "the web team's nginx").optional(),\n`,
    ),
    after(
      "src/config/config.ts",
      "export type Mirror = {\n  readonly name: string;\n",
      "  readonly description?: string;\n",
    ),
    after(
      "src/config/mirrors.ts",
      "    name: shape.name ?? derivedName(target),\n",
      "    ...(shape.description === undefined ? {} : { description: shape.description }),\n",
    ),
    {
      file: "src/cli/terminal/mirror-text.ts",
      replace: "({ name, source, target, storage }: Mirror)",
      by: "({ name, description, source, target, storage }: Mirror)",
    },
    {
      file: "src/cli/terminal/mirror-text.ts",
      replace: "  return `${name}  ",
      by: `  const what = description === undefined ? "" : \` (\${description})\`;
  return \`\${name}\${what}  `,
    },
    after("config/example.yaml", "  - name: jenkins\n", "    description: the build team's Jenkins\n"),
    before(
      "test/e2e/keys/mirrors.ts",
      `  "mirrors[].source": () =>`,
      `  "mirrors[].description": async () => {
    await using directory = await temporaryDirectory();
    await using registry = await startRegistry();
    const firstLine = async (more: object): Promise<string> => {
      const file = await writeConfig(directory.path, {
        version: 1,
        registries: { [registry.host]: { plainHttp: true } },
        mirrors: [{ source: \`\${registry.host}/a/app\`, target: \`\${registry.host}/b/app\`, tags: ["1"], ...more }],
      });
      return (await tagferry(["plan", "-c", file])).stdout.split("\\n", 1)[0] ?? "";
    };
    expect(await firstLine({})).toMatch(/^b-app  /);
    expect(await firstLine({ description: "for the web" })).toMatch(/^b-app \\(for the web\\)  /);
  },
`,
    ),
    {
      file: "test/e2e/keys/mirrors.ts",
      replace: `import { writeConfig } from "../../support/tagferry.ts";`,
      by: `import { tagferry, writeConfig } from "../../support/tagferry.ts";`,
    },
    after(
      "test/e2e/keys.test.ts",
      `const VALUES: Readonly<Record<string, object>> = {\n`,
      `  description: { description: "for the web" },\n`,
    ),
  ],
  probe: [
    "test/e2e/keys.test.ts",
    "test/docs.test.ts",
    "-t",
    // the tests about this key and about generated files, and all of the architecture
    "imports of src|^no |^every |has its test|description (changes|says)|is what the code says|is a valid configuration|example shows|names every key",
  ],
};
