import type { Process } from "../process.ts";

/** Prints the JSON Schema that `config/schema.json` holds. */
export async function schemaCommand({ stdout }: Pick<Process, "stdout">): Promise<void> {
  const { jsonSchema } = await import("../../config/file/schema.ts");
  stdout.write(`${JSON.stringify(jsonSchema(), undefined, 2)}\n`);
}
