import type { WrongCommand } from "./commands.ts";
import type { WrongFile } from "./files.ts";
import type { Answer } from "./world.ts";

/** docs/wrong-inputs.md: one table with every input and its answer. */
export function wrongInputsPage(
  inputs: readonly (WrongFile | WrongCommand)[],
  answers: readonly (Answer | undefined)[],
): string {
  const rows = inputs.map((input, at) => {
    const { exit, text } = answers[at] ?? { exit: -1, text: "" };
    return `| ${at + 1} | ${input.what} | ${lines(inputText(input))} | ${lines(text.trimEnd())} | ${exit} |`;
  });
  return `# Wrong inputs

What a person writes wrong, and the answer of Tagferry. A test makes this table by running each input:
\`npx vitest run test/e2e/wrong-inputs.test.ts -u\`. A file is checked with \`tagferry validate\`; its column shows the lines with the mistake.

| | what is wrong | input | answer | exit code |
|---|---|---|---|---|
${rows.join("\n")}
`;
}

function inputText(input: WrongFile | WrongCommand): string {
  if ("within" in input) return input.text;
  const variables = Object.entries(input.env ?? {}).map(([name, value]) => `${name}=${value} `);
  return `${variables.join("")}tagferry ${input.args}`;
}

/** Text with several lines as a cell of a table. */
function lines(text: string): string {
  return text === "" ? "" : `<code>${text.trimEnd().split("\n").map(escaped).join("<br>")}</code>`;
}

function escaped(line: string): string {
  return line
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll("|", "&#124;")
    .replaceAll("*", "&#42;")
    .replaceAll("\t", "&#9;")
    .replaceAll(/^ +| {2,}/g, (spaces) => "&nbsp;".repeat(spaces.length));
}
