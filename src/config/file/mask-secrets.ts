/**
 * Where a secret can stand in a wrong file: under the right key, under a misspelt key (`passwrd`), or in place of its
 * map (`credentials: hunter2`). Keys that name a file, a user or hosts hold no secret.
 */
const SECRET_KEY = String.raw`[\w-]*(?:pass|pwd|secret|token|credential)(?![\w-]*(?:File|Realms)\b)[\w-]*`;
const SECRET_NAME = new RegExp(`^${SECRET_KEY}$`, "i");
// a quoted value, else up to the end of the flow; not maps and ${VARIABLES}
const VALUE = String.raw`"(?!\$\{)(?:[^"\\]|\\.)*"?|'(?!\$\{)(?:[^']|'')*'?|(?!["'{\s#]|\$\{)`;
const FLOW = new RegExp(`(?<=[{,]\\s*["']?${SECRET_KEY}["']?\\s*:\\s*)(?:${VALUE}[^,}\\n]+)`, "gi");
const BLOCK = new RegExp(`(?<=^[\\s-]*["']?${SECRET_KEY}["']?\\s*:\\s*)(?!["']?\\$\\{|[{\\s#]).+`, "gi");
const IN_ADDRESS = /(?<=:\/\/)[^\s/?#"']*(?=@)/g;

/** Replaces each secret in a line of the file by as many stars, so that a caret below still points at its column. */
export function maskSecrets(line: string): string {
  return [FLOW, BLOCK, IN_ADDRESS].reduce(
    (text, secret) => text.replaceAll(secret, (found) => "*".repeat(found.length)),
    line,
  );
}

/** Whether the value at this path is a secret, or was meant as one. */
export function isSecretPath(path: readonly (string | number)[]): boolean {
  const key = path.findLast((part) => typeof part === "string");
  return key !== undefined && SECRET_NAME.test(key);
}
