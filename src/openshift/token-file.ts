import { readFile, stat } from "node:fs/promises";

import { TagferryError } from "../errors/error.ts";

/**
 * The bearer token in a file, read again whenever the file changed: tokens of pods are renewed on disk. While a renewal
 * leaves nothing to read, the token before stays good, as with client-go.
 *
 * @throws {TagferryError} CLUSTER_CONFIG when there never was one
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
