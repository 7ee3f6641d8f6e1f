import type { RetryPolicy } from "../errors/retry.ts";
import type { Log } from "../lib/log.ts";
import type { HeadMemory } from "./api/head-memory.ts";
import type { Scope } from "./auth/scope.ts";
import type { Requester } from "./http/client.ts";
import type { RegistryProfile } from "./profile.ts";

/** One repository as its requests see it. */
export type RepositoryClient = {
  /** `registry/repository`, for messages. */
  readonly name: string;
  readonly repository: string;
  readonly requester: Requester;
  readonly log: Log;
  readonly pull: readonly Scope[];
  readonly push: readonly Scope[];
  readonly retry: Partial<RetryPolicy>;
  /** How long a piece of work is tried again without progress. */
  readonly retriesMs: number;
  /** From the end of a request to the first byte of its answer. */
  readonly firstByteMs: number;
  /** What is known of the registry's HEAD, by all of its repositories. */
  readonly heads: HeadMemory;
  /** As it is known by now. */
  profile(): RegistryProfile;
  /** `path` below /v2/REPOSITORY/, with its query. */
  url(path: string): URL;
  /** The repository that a name of this registry means. */
  repositoryOf(name: string): string | undefined;
};
