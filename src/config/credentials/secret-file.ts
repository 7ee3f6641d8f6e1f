import { readFile, stat } from "node:fs/promises";

import { TagferryError } from "../../errors/error.ts";

/**
 * A file's text, without the line end that editors leave, read again when the file changed.
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
    // only line ends: a password may begin or end with a space
    const secret = text.replace(/(?<![\r\n])[\r\n]+$/, "");
    if (secret.trim() === "")
      throw new TagferryError("CONFIG_SECRET", `the file ${path} is empty`, { where: path });
    return secret;
  };
}

/** Mounted secrets are swapped by symbolic links: the inode tells, when size and time do not. */
export function rereadFile(path: string): () => Promise<string> {
  let kept: { readonly text: string; readonly stamp: string } | undefined;
  return async () => {
    const { mtimeMs, size, ino } = await stat(path);
    const stamp = `${mtimeMs} ${size} ${ino}`;
    if (kept?.stamp !== stamp) kept = { text: await readFile(path, "utf8"), stamp };
    return kept.text;
  };
}
