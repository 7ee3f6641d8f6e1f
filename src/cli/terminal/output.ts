import type { CommonFlags, Process } from "../process.ts";

/** Prints a result on stdout: the text of `render`, or the record as JSON or YAML. */
export async function print(
  record: unknown,
  render: () => string,
  { output }: Pick<CommonFlags, "output">,
  { stdout }: Pick<Process, "stdout">,
): Promise<void> {
  switch (output) {
    case "text": {
      const text = render();
      if (text !== "") stdout.write(text.endsWith("\n") ? text : `${text}\n`);
      return;
    }
    case "json":
      stdout.write(`${JSON.stringify(record, undefined, 2)}\n`);
      return;
    case "yaml": {
      const { toYaml } = await import("../../config/file/yaml.ts");
      stdout.write(toYaml(record));
    }
  }
}
