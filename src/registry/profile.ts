import type { TargetCapabilities } from "../oci/store.ts";

export type RegistryKind = "auto" | "harbor" | "dockerhub" | "quay" | "distribution" | "openshift";

/** How a kind of registry differs. These are starting values: what the process observes overrules them. */
export type RegistryProfile = {
  readonly kind: RegistryKind;
  /** `n` of a tag listing; undefined: never sent, because OpenShift's registry loses tags when it pages. */
  readonly tagsPageSize: number | undefined;
  /** A POST that mounts from the same repository reliably shows whether the blob is there. */
  readonly selfMount: boolean;
  /**
   * `whole`: POST, then PUT. `patch`: POST, one PATCH with everything, PUT. `chunked`: several PATCHes of `chunkBytes`.
   */
  readonly upload: "whole" | "patch" | "chunked";
  readonly chunkBytes: number;
  /** Whether it has a referrers API. `probe`: tested with one request. */
  readonly referrersApi: "probe" | "never";
  /** Whether to find signature tags in the listing, or with one request per tag (where listings are huge). */
  readonly cosignTags: "listing" | "ask";
  /**
   * A HEAD that answers 404 is trusted from the start. Otherwise it is trusted only after a HEAD has found something.
   */
  readonly truthfulHead: boolean;
  /** Whether a pushed tag is read back by HEAD. Not needed for OpenShift, where the stream shows the tag. */
  readonly readBack: boolean;
  /**
   * Whether what was pushed by digest is read back by HEAD: children of an index, and referrers. Not needed for kinds
   * that refuse an index whose children are missing.
   */
  readonly readBackDigests: boolean;
  /** A 401 with Basic after a Bearer token was sent means that the token expired (Harbor). */
  readonly expiredBearerLooksBasic: boolean;
  readonly capabilities: TargetCapabilities;
};

const REGISTRY_CAPABILITIES: TargetCapabilities = {
  sparseIndex: false,
  childrenVisible: true,
  referrers: "all",
  indexNeedsPlatforms: false,
  manifestImpliesContent: true,
};

const GENERIC: RegistryProfile = {
  kind: "auto",
  tagsPageSize: 1000,
  selfMount: false,
  upload: "whole",
  chunkBytes: 8 * 1024 * 1024,
  referrersApi: "probe",
  cosignTags: "listing",
  truthfulHead: false,
  readBack: true,
  readBackDigests: true,
  expiredBearerLooksBasic: true,
  capabilities: REGISTRY_CAPABILITIES,
};

const GENERIC_OPENSHIFT: RegistryProfile = { ...GENERIC, readBackDigests: false };

const PROFILES: Readonly<Record<RegistryKind, RegistryProfile>> = {
  auto: GENERIC,
  // Nexus also sends registry/2.0, so HEAD is not trusted from the start
  distribution: { ...GENERIC, kind: "distribution", selfMount: true, readBackDigests: false },
  harbor: { ...GENERIC, kind: "harbor", selfMount: true, truthfulHead: true, readBackDigests: false },
  // one body with all tags, often tens of thousands; no referrers API
  dockerhub: {
    ...GENERIC,
    kind: "dockerhub",
    referrersApi: "never",
    cosignTags: "ask",
    truthfulHead: true,
    readBackDigests: false,
  },
  quay: { ...GENERIC, kind: "quay", tagsPageSize: 100, truthfulHead: true, readBackDigests: false },
  openshift: {
    ...GENERIC,
    kind: "openshift",
    tagsPageSize: undefined,
    selfMount: true,
    referrersApi: "never",
    truthfulHead: true,
    readBack: false,
    readBackDigests: false,
    capabilities: {
      sparseIndex: true,
      childrenVisible: false,
      referrers: "tags",
      indexNeedsPlatforms: true,
      manifestImpliesContent: false,
    },
  },
};

/** Hosts for which no answer to a mount from the same repository has been observed. */
const UNSEEN =
  /(?:^|\.)(?:docker\.io|ghcr\.io|quay\.io|gcr\.io|pkg\.dev|azurecr\.io|amazonaws\.com|gitlab\.com|jfrog\.io)$/;

export function profileOf(kind: RegistryKind, hostname: string): RegistryProfile {
  if (kind !== "auto") return PROFILES[kind];
  if (hostname === "registry-1.docker.io") return PROFILES.dockerhub;
  if (hostname === "quay.io") return PROFILES.quay;
  return GENERIC;
}

/** Determines the kind of a registry from its first answers. */
export function refineProfile(profile: RegistryProfile, hostname: string, headers: Headers): RegistryProfile {
  if (profile.kind !== "auto" || UNSEEN.test(hostname)) return profile;
  // an OpenShift registry used like any other; it does not show what only a digest names
  if (headers["x-registry-supports-signatures"] !== undefined) return GENERIC_OPENSHIFT;
  return headers["docker-distribution-api-version"] === "registry/2.0" ? PROFILES.distribution : profile;
}

export type Headers = Readonly<Record<string, string | string[] | undefined>>;
