import { jsonSchema } from "./schema.ts";
import type { Path } from "./yaml.ts";

type Schema = {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
};

/** The keys that are allowed at a path of the file, for "did you mean". */
export function keysAt(path: Path): readonly string[] {
  let schemas: readonly Schema[] = [jsonSchema() as Schema];
  for (const part of path) schemas = schemas.flatMap((schema) => below(schema, part));
  return schemas.flatMap(alternatives).flatMap(({ properties }) => Object.keys(properties ?? {}));
}

function alternatives(schema: Schema): readonly Schema[] {
  return schema.anyOf ? schema.anyOf.flatMap(alternatives) : [schema];
}

function below(schema: Schema, part: string | number): readonly Schema[] {
  return alternatives(schema).flatMap(({ properties, additionalProperties, items }) => {
    if (typeof part === "number") return items ? [items] : [];
    const property = properties?.[part];
    if (property) return [property];
    return typeof additionalProperties === "object" ? [additionalProperties] : [];
  });
}
