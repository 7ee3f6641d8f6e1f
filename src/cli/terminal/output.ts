import type { CommonFlags, Process } from "../cli.ts";

/** Results go to stdout: text made by `render`, or the record itself. */
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
