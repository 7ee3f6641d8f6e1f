import type { Problem } from "./problems.ts";
import type { Path, YamlFile } from "./yaml.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

const VARIABLE = /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g;

/** Replaces `${NAME}` and `${NAME:-default}` in every text of a value. Keys are not changed. */
export function replaceVariables(
  value: unknown,
  env: Environment,
  yaml: YamlFile,
  path: Path = [],
): { readonly value: unknown; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const walk = (node: unknown, at: Path): unknown => {
    if (typeof node === "string")
      return node.replaceAll(VARIABLE, (_, name: string, fallback: string | undefined) => {
        const found = env[name];
        if (found !== undefined && found !== "") return found;
        if (fallback !== undefined) return fallback;
        problems.push(
          yaml.problem(
            at,
            "CONFIG_ENVIRONMENT",
            `\${${name}} is used here, and the variable is ${found === undefined ? "not set" : "empty"}`,
            {
              found: `\${${name}}`,
              next: `Set ${name}, or give a default: \${${name}:-default}.`,
            },
          ),
        );
        return "";
      });
    if (Array.isArray(node)) return node.map((item, position) => walk(item, [...at, position]));
    if (typeof node === "object" && node !== null)
      return Object.fromEntries(Object.entries(node).map(([key, item]) => [key, walk(item, [...at, key])]));
    return node;
  };
  return { value: walk(value, path), problems };
}

/** Whether a text is exactly one variable. Then the text itself contains no secret. */
export function isVariable(text: string): boolean {
  return /^\$\{[A-Za-z_][A-Za-z0-9_]*\}$/.test(text);
}
