import { readFile, stat } from "node:fs/promises";

import { TagferryError } from "../../errors/error.ts";

/**
 * Reads the text of a file without the line end that editors add. Reads it again when the file changes.
 *
 * @throws {TagferryError} CONFIG_SECRET, with the path and never the content
 */
export function openSecretFile(path: string): () => Promise<string> {
  const read = rereadFile(path);
  return async () => {
    let text: string;
    try {
      text = await read();
    } catch (cause) {
      throw new TagferryError("CONFIG_SECRET", `the file ${path} cannot be read`, { cause, where: path });
    }
    // only line ends, because a password may begin or end with a space
    const secret = text.replace(/(?<![\r\n])[\r\n]+$/, "");
    if (secret.trim() === "")
      throw new TagferryError("CONFIG_SECRET", `the file ${path} is empty`, { where: path });
    return secret;
  };
}

/**
 * Reads a file again when it changes. The inode is compared too: Kubernetes replaces mounted secrets by symbolic links,
 * so size and time may stay the same.
 */
export function rereadFile(path: string): () => Promise<string> {
  let kept: { readonly text: string; readonly stamp: string } | undefined;
  return async () => {
    const { mtimeMs, size, ino } = await stat(path);
    const stamp = `${mtimeMs} ${size} ${ino}`;
    if (kept?.stamp !== stamp) kept = { text: await readFile(path, "utf8"), stamp };
    return kept.text;
  };
}
