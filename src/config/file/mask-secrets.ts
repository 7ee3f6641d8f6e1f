/**
 * Where a file with errors may contain a secret: under the right key, under a misspelled key (`passwrd`), or instead of
 * a map (`credentials: hunter2`). Keys that name a file, a user or hosts contain no secret.
 */
const SECRET_KEY = String.raw`[\w-]*(?:pass|pwd|secret|token|credential)(?![\w-]*(?:File|Realms)\b)[\w-]*`;
const SECRET_NAME = new RegExp(`^${SECRET_KEY}$`, "i");
// A quoted value, or all text up to the end of the flow collection. Not maps and ${VARIABLES}.
const VALUE = String.raw`"(?!\$\{)(?:[^"\\]|\\.)*"?|'(?!\$\{)(?:[^']|'')*'?|(?!["'{\s#]|\$\{)`;
const FLOW = new RegExp(`(?<=[{,]\\s*["']?${SECRET_KEY}["']?\\s*:\\s*)(?:${VALUE}[^,}\\n]+)`, "gi");
const BLOCK = new RegExp(`(?<=^[\\s-]*["']?${SECRET_KEY}["']?\\s*:\\s*)(?!["']?\\$\\{|[{\\s#]).+`, "gi");
const IN_ADDRESS = /(?<=:\/\/)[^\s/?#"']*(?=@)/g;

/**
 * Replaces each secret in a line of the file by the same number of stars, so that the caret below still points at its
 * column.
 */
export function maskSecrets(line: string): string {
  return [FLOW, BLOCK, IN_ADDRESS].reduce(
    (text, secret) => text.replaceAll(secret, (found) => "*".repeat(found.length)),
    line,
  );
}

/** Whether the value at this path is a secret, or was intended as one. */
export function isSecretPath(path: readonly (string | number)[]): boolean {
  const key = path.findLast((part) => typeof part === "string");
  return key !== undefined && SECRET_NAME.test(key);
}
