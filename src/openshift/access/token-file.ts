import { readFile, stat } from "node:fs/promises";

import { TagferryError } from "../../errors/error.ts";

/**
 * Reads a bearer token from a file, and reads it again when the file changes, because the tokens of pods are renewed on
 * disk. If the file is empty or missing during a renewal, the previous token is used, as in client-go.
 *
 * @throws {TagferryError} CLUSTER_CONFIG when no token was ever read
 */
export function tokenFile(path: string): () => Promise<string> {
  let kept: { readonly token: string; readonly stamp: string } | undefined;
  return async () => {
    try {
      const { mtimeMs, size, ino } = await stat(path);
      const stamp = `${mtimeMs} ${size} ${ino}`;
      if (kept?.stamp === stamp) return kept.token;
      const token = (await readFile(path, "utf8")).trim();
      if (token === "") throw new Error("the file is empty");
      kept = { token, stamp };
      return token;
    } catch (cause) {
      if (kept) return kept.token;
      throw new TagferryError(
        "CLUSTER_CONFIG",
        `no way to the cluster: the token file ${path} cannot be read`,
        {
          cause,
          where: path,
        },
      );
    }
  };
}
