import { after, before, type Recipe } from "./recipe.ts";

/** Example: `tagferry explain CODE` prints what an error code means. */
export const COMMAND: Recipe = {
  title: "A command",
  generated: ["docs/commands.md", "docs/tagferry.1"],
  edits: [
    {
      file: "src/cli/commands/explain.ts",
      create: `import { ERROR_CODES } from "../../errors/codes.ts";
import { TagferryError } from "../../errors/error.ts";
import { EXIT } from "../exit-code.ts";
import type { CommonFlags, Process } from "../process.ts";
import { print } from "../terminal/output.ts";

/** Prints what an error code means and what to do. */
export async function explainCommand(code: string, flags: CommonFlags, process: Process): Promise<number> {
  const facts = Object.entries(ERROR_CODES).find(([name]) => name === code)?.[1];
  if (!facts) throw new TagferryError("USAGE", \`there is no error code \${code}\`, { found: code });
  await print(facts, () => \`\${facts.meaning}\\n\${facts.next}\`, flags, process);
  return EXIT.done;
}
`,
    },
    after(
      "src/cli/syntax/images.ts",
      "  addAuth(program, process, finish);\n",
      "  addExplain(program, process, finish);\n",
    ),
    after(
      "src/cli/syntax/examples.ts",
      "Record<string, readonly Example[]>> = {\n",
      '  explain: [["tagferry explain DISK_FULL", ""]],\n',
    ),
    before(
      "src/cli/syntax/images.ts",
      "function addAuth(",
      `function addExplain(program: Command, process: Process, finish: Finish): void {
  withCommon(program.command("explain").argument("<code>", "error code"))
    .description("explain an error code")
    .action(async (code: string, flags: CommonFlags) => {
      const { explainCommand } = await import("../commands/explain.ts");
      finish(await explainCommand(code, flags, process));
    });
}

`,
    ),
    before(
      "README.md",
      "tagferry auth REGISTRY...",
      "tagferry explain CODE          explain an error code\n",
    ),
    {
      file: "test/cli/commands/explain.test.ts",
      create: `import { expect, test } from "vitest";

import { tagferry } from "../../support/tagferry.ts";

test("explain prints what a code means, and refuses a code that does not exist", async () => {
  const explained = await tagferry(["explain", "DISK_FULL", "-o", "json"]);
  expect(JSON.parse(explained.stdout)).toMatchObject({ class: "environment" });
  expect(explained.code).toBe(0);
  expect((await tagferry(["explain", "NOTHING"])).code).toBe(3);
});

test("the help names it", async () => {
  expect((await tagferry(["--help"])).stdout).toContain("explain an error code");
});
`,
    },
  ],
  probe: ["test/cli/commands/explain.test.ts"],
};
