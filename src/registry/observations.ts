import {
  type Headers,
  profileOf,
  refineProfile,
  type RegistryKind,
  type RegistryProfile,
} from "./profile.ts";

/**
 * What the answers of one registry showed about its behaviour. This is the only place that remembers it; all
 * repositories of the registry share it, and it ends with the process. An observation is stronger than the profile of
 * the registry's kind.
 *
 * Not here: what a registry contains (`blob-locations.ts`, `api/digest-tags.ts`), logins (`auth/`), and whether it
 * answers at all (`http/breaker.ts`).
 */
export type Observations = {
  /** The profile of the registry's kind. It can change with the answers of the registry. */
  profile(): RegistryProfile;
  /** Call this with the headers of each answer. */
  answered(headers: Headers): void;
  /** Whether the kind is only assumed from a header that other kinds send too. */
  isAssumed(): boolean;
  /** The registry said itself which kind it is. */
  recognised(kind: RegistryKind): void;
  readonly head: HeadObservations;
  readonly bodySize: BodySizeObservations;
  readonly mounts: MountObservations;
  referrersApi(repository: string): ReferrersApiObservations;
};

/**
 * HEAD of manifests. Nexus answers 404 to every HEAD and 200 to the GET. Other registries have no HEAD, or send no
 * digest. Some answer 404 for a moment.
 */
export type HeadObservations = {
  /** false for an hour after HEAD was found unusable: GET is used instead. */
  isUsable(): boolean;
  /** Whether a 404 to a HEAD means that there is nothing. Otherwise a GET must confirm it. */
  isTrusted(): boolean;
  /** A HEAD has found something. */
  found(): void;
  /** HEAD is missing, has no digest, or did not find what GET found. */
  unusable(): void;
  /** A HEAD denied what the listing names. For an hour, a 404 is not trusted. */
  doubted(): void;
};

/** The largest body of one request. A proxy in front of a registry may limit it (413). */
export type BodySizeObservations = {
  /** undefined: no limit is known. */
  maxBytes(): number | undefined;
  /** A body was too large. Returns whether there is a smaller size to try. */
  tooLarge(): boolean;
};

/** Mounts between two repositories. Some registries refuse all of them, or those from private repositories. */
export type MountObservations = {
  /** Whether the last mounts between these repositories were all refused. */
  areRefused(from: string, to: string): boolean;
  refused(from: string, to: string): void;
  accepted(from: string, to: string): void;
};

/** The referrers API. It can differ between repositories: a registry may be a proxy for several others. */
export type ReferrersApiObservations = {
  /** Whether the API counts as absent, and why. It is asked again after an hour. */
  absence(): string | undefined;
  /** The API answered before, so a 404 is a failure and does not mean absence. */
  isPresent(): boolean;
  absent(reason: string): void;
  present(): void;
};

const ABSENT_FOR_MS = 60 * 60_000;
/** After this many refusals in a row, no more mounts are tried between two repositories. */
const REFUSALS_MAX = 3;
const PAIRS_KEPT = 10_000;
/** The smallest default limit of a proxy: nginx. */
const SMALLEST_BODY_BYTES = 1024 * 1024;

export function openObservations(kind: RegistryKind, hostname: string): Observations {
  let profile = profileOf(kind, hostname);
  const referrers = new Map<string, ReferrersApiObservations>();
  return {
    profile: () => profile,
    answered(headers) {
      profile = refineProfile(profile, hostname, headers);
    },
    isAssumed: () => kind === "auto" && profile.kind === "distribution",
    recognised(found) {
      profile = profileOf(found, hostname);
    },
    head: observeHead(() => profile),
    bodySize: observeBodySize(() => profile),
    mounts: observeMounts(),
    referrersApi(repository) {
      const known = referrers.get(repository) ?? observeReferrersApi(() => profile);
      referrers.set(repository, known);
      return known;
    },
  };
}

function observeHead(profile: () => RegistryProfile): HeadObservations {
  let unusableUntilMs = 0;
  let doubtedUntilMs = 0;
  let hasFound = false;
  const isUsable = (): boolean => performance.now() >= unusableUntilMs;
  return {
    isUsable,
    isTrusted: () => performance.now() >= doubtedUntilMs && (hasFound || profile().truthfulHead),
    found() {
      hasFound = true;
    },
    unusable() {
      // Within the hour, a GET shows nothing new about HEAD. After the hour, HEAD is tried again.
      if (isUsable()) unusableUntilMs = performance.now() + ABSENT_FOR_MS;
    },
    doubted() {
      doubtedUntilMs = performance.now() + ABSENT_FOR_MS;
    },
  };
}

function observeBodySize(profile: () => RegistryProfile): BodySizeObservations {
  let maxBytes: number | undefined;
  return {
    maxBytes: () => maxBytes,
    tooLarge() {
      // first the registry's own chunk size, then the smallest default limit of a proxy
      const before = maxBytes ?? Infinity;
      maxBytes = before === Infinity ? profile().chunkBytes : SMALLEST_BODY_BYTES;
      return maxBytes < before;
    },
  };
}

const pairOf = (from: string, to: string): string => `${from} ${to}`;

function observeMounts(): MountObservations {
  const refusals = new Map<string, number>();
  return {
    areRefused: (from, to) => (refusals.get(pairOf(from, to)) ?? 0) >= REFUSALS_MAX,
    refused(from, to) {
      const pair = pairOf(from, to);
      const count = refusals.get(pair) ?? 0;
      refusals.delete(pair);
      refusals.set(pair, count + 1);
      const [oldest] = refusals.keys();
      if (refusals.size > PAIRS_KEPT && oldest !== undefined) refusals.delete(oldest);
    },
    accepted: (from, to) => void refusals.delete(pairOf(from, to)),
  };
}

function observeReferrersApi(profile: () => RegistryProfile): ReferrersApiObservations {
  let absentUntilMs = 0;
  let why = "";
  let hasAnswered = false;
  return {
    absence() {
      if (profile().referrersApi === "never") return `no registry of the kind ${profile().kind} has it`;
      return performance.now() < absentUntilMs ? why : undefined;
    },
    isPresent: () => hasAnswered,
    absent(reason) {
      absentUntilMs = performance.now() + ABSENT_FOR_MS;
      why = reason;
    },
    present() {
      hasAnswered = true;
    },
  };
}
