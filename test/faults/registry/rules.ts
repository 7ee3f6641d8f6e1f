import type { Random } from "../random.ts";

/** Differences between registries, within the distribution specification and the behaviour of known registries. */
export type RegistryRules = {
  readonly referrersApi: boolean;
  /** Entries in a page of referrers. */
  readonly referrersPage: number;
  /** The most tags in a page, whatever `n` says. */
  readonly tagsPage: number;
  readonly mounts: boolean;
  /**
   * A manifest is taken only when all that it names is there, as docker-registry does; else as zot or OpenShift do
   * for indexes.
   */
  readonly proves: boolean;
  /** The status for a manifest that names missing content: 400 by docker-registry, 404 by the specification. */
  readonly unknownStatus: 400 | 404;
  readonly relativeLocations: boolean;
  /** `POST ?digest=` stores at once; else it opens a session. */
  readonly singlePost: boolean;
  readonly auth: "none" | "basic" | "bearer";
  /** When two referrers are PUT at the same time, one is not listed afterwards (olareg). */
  readonly losesConcurrentReferrers: boolean;
  readonly digestHeaders: boolean;
  /** It speaks TLS with a certificate of an authority that only the configuration names. */
  readonly tls: boolean;
};

export function rulesOf(random: Random): RegistryRules {
  const referrersApi = random.chance(0.6);
  return {
    referrersApi,
    referrersPage: random.pick([1, 2, 100]),
    tagsPage: random.pick([2, 3, 100, 100]),
    mounts: random.chance(0.7),
    proves: random.chance(0.75),
    unknownStatus: random.pick([400, 404]),
    relativeLocations: random.chance(0.4),
    singlePost: random.chance(0.2),
    auth: random.pick(["none", "none", "basic", "bearer"]),
    losesConcurrentReferrers: referrersApi && random.chance(0.15),
    digestHeaders: random.chance(0.9),
    tls: random.fork("tls").chance(0.25),
  };
}

export const USER = "robot";
export const PASSWORD = "opensesame";
