import type { RetryPolicy } from "../errors/retry.ts";
import type { Cancellable } from "../lib/cancel.ts";
import type { Log } from "../lib/log.ts";
import type { Scope } from "./auth/scope.ts";
import type { Requester } from "./http/request.ts";
import type { Observations } from "./observations.ts";
import type { RegistryProfile } from "./profile.ts";

/** One repository, as its requests use it. */
export type RepositoryClient = {
  /** `registry/repository`, for messages. */
  readonly name: string;
  readonly repository: string;
  readonly requester: Requester;
  readonly log: Log;
  readonly pull: readonly Scope[];
  readonly push: readonly Scope[];
  readonly retry: Partial<RetryPolicy>;
  /** How long an operation is retried without progress. */
  readonly retriesMs: number;
  /** From the end of a request to the first byte of its answer. */
  readonly firstByteMs: number;
  /** The limit for a whole metadata request. */
  readonly requestMs: number;
  /** What the answers of the registry showed. All its repositories share it. */
  readonly observations: Observations;
  /** Finds out which kind of registry this is, where that is only assumed. Asks once for all repositories. */
  recognise(options?: Cancellable): Promise<void>;
  /** The current profile, from the observations. */
  profile(): RegistryProfile;
  /** A URL below /v2/REPOSITORY/; `path` may contain a query. */
  url(path: string): URL;
  /** The repository path for an image name of this registry. */
  repositoryOf(name: string): string | undefined;
};
