import type { Digest } from "../oci/digest.ts";

/**
 * The repositories of a registry that are known to have a blob, because this process pushed, mounted or found it there.
 */
export type BlobLocations = {
  has(digest: Digest, repository: string): boolean;
  /** A repository other than `repository` to mount from. */
  elsewhere(digest: Digest, repository: string): string | undefined;
  learn(digest: Digest, repository: string): void;
  forget(digest: Digest, repository?: string): void;
};

const DIGESTS_KEPT = 20_000;
const REPOSITORIES_KEPT = 64;

/** The size is limited. The least recently used entry is removed first, which costs at most one request. */
export function openBlobLocations(): BlobLocations {
  const known = new Map<Digest, Set<string>>();

  const touch = (digest: Digest): Set<string> | undefined => {
    const repositories = known.get(digest);
    if (!repositories) return undefined;
    known.delete(digest);
    known.set(digest, repositories);
    return repositories;
  };

  return {
    has: (digest, repository) => touch(digest)?.has(repository) ?? false,
    elsewhere: (digest, repository) =>
      touch(digest)
        ?.values()
        .find((one) => one !== repository),
    learn(digest, repository) {
      const repositories = touch(digest) ?? new Set<string>();
      if (repositories.size < REPOSITORIES_KEPT) repositories.add(repository);
      known.set(digest, repositories);
      const [oldest] = known.keys();
      if (known.size > DIGESTS_KEPT && oldest !== undefined) known.delete(oldest);
    },
    forget(digest, repository) {
      if (repository === undefined) known.delete(digest);
      else known.get(digest)?.delete(repository);
    },
  };
}
