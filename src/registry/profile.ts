import type { TargetCapabilities } from "../oci/store.ts";

export type RegistryKind = "auto" | "harbor" | "dockerhub" | "quay" | "distribution" | "openshift";

/** How a kind of registry differs. What is observed overrules it for the life of the process; it is a prior, no law. */
export type RegistryProfile = {
  readonly kind: RegistryKind;
  /** `n` of a tag listing; undefined: never sent (OpenShift's registry loses tags when it pages). */
  readonly tagsPageSize: number | undefined;
  /** A POST that mounts from the repository itself answers truthfully whether the blob is there. */
  readonly selfMount: boolean;
  /** `whole`: POST then PUT. `patch`: POST, PATCH of everything, PUT. `chunked`: PATCHes of `chunkBytes`. */
  readonly upload: "whole" | "patch" | "chunked";
  readonly chunkBytes: number;
  /** Has a referrers API; `probe`: asked once. */
  readonly referrersApi: "probe" | "never";
  /** Tags that hold signatures are found in the listing, or by asking for each (where a listing is huge). */
  readonly cosignTags: "listing" | "ask";
  /** A HEAD that says 404 is believed from the start; elsewhere only after a HEAD has found something. */
  readonly truthfulHead: boolean;
  /** A pushed tag is read back by HEAD; OpenShift's stream shows it anyway. */
  readonly readBack: boolean;
  /** A 401 Basic after a Bearer was sent means that the token expired (Harbor). */
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
  expiredBearerLooksBasic: true,
  capabilities: REGISTRY_CAPABILITIES,
};

const PROFILES: Readonly<Record<RegistryKind, RegistryProfile>> = {
  auto: GENERIC,
  // Nexus, too, calls itself registry/2.0: its HEAD has to prove itself
  distribution: { ...GENERIC, kind: "distribution", selfMount: true },
  harbor: { ...GENERIC, kind: "harbor", selfMount: true, truthfulHead: true },
  // one body with every tag, tens of thousands of them; no referrers API
  dockerhub: { ...GENERIC, kind: "dockerhub", referrersApi: "never", cosignTags: "ask", truthfulHead: true },
  quay: { ...GENERIC, kind: "quay", tagsPageSize: 100, truthfulHead: true },
  openshift: {
    ...GENERIC,
    kind: "openshift",
    tagsPageSize: undefined,
    selfMount: true,
    referrersApi: "never",
    truthfulHead: true,
    readBack: false,
    capabilities: {
      sparseIndex: true,
      childrenVisible: false,
      referrers: "tags",
      indexNeedsPlatforms: true,
      manifestImpliesContent: false,
    },
  },
};

/** Hosts whose answer to a mount from the same repository nobody here has seen. */
const UNSEEN =
  /(?:^|\.)(?:docker\.io|ghcr\.io|quay\.io|gcr\.io|pkg\.dev|azurecr\.io|amazonaws\.com|gitlab\.com|jfrog\.io)$/;

export function profileOf(kind: RegistryKind, hostname: string): RegistryProfile {
  if (kind !== "auto") return PROFILES[kind];
  if (hostname === "registry-1.docker.io") return PROFILES.dockerhub;
  if (hostname === "quay.io") return PROFILES.quay;
  return GENERIC;
}

/** What the first answers of a registry tell about its kind. */
export function refineProfile(profile: RegistryProfile, hostname: string, headers: Headers): RegistryProfile {
  if (profile.kind !== "auto" || UNSEEN.test(hostname)) return profile;
  if (headers["x-registry-supports-signatures"] !== undefined) return profile; // an OpenShift registry as a source
  return headers["docker-distribution-api-version"] === "registry/2.0" ? PROFILES.distribution : profile;
}

export type Headers = Readonly<Record<string, string | string[] | undefined>>;
