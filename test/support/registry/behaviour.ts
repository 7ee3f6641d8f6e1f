/** Differences between registries. The defaults are a registry that conforms to all of distribution-spec 1.1. */
export type Behaviour = {
  /** false: `/referrers/` answers 404, and no `OCI-Subject` is sent (Docker Hub, GHCR, docker-registry, OpenShift). */
  readonly referrersApi: boolean;
  readonly referrersPageSize: number;
  /** Applies `artifactType=`, and announces it in a header. */
  readonly referrersFilter: boolean;
  /** `never` answers 202 to every mount; `anywhere` also mounts without `from`. */
  readonly mount: "from" | "anywhere" | "never";
  /** An index may name children that are not here. */
  readonly sparseIndex: boolean;
  /** Blobs and children a manifest names must be here, else MANIFEST_BLOB_UNKNOWN. */
  readonly verifyReferences: boolean;
  /** Media types of manifests that are taken; others are answered 415 (zot without docker2s2). */
  readonly manifestTypes: readonly string[] | undefined;
  readonly manifestLimitBytes: number;
  /** Tags per page when the client names no `n`; undefined: all. */
  readonly pageSize: number | undefined;
  /** A larger `n` is taken as this. */
  readonly maxPageSize: number | undefined;
  /** docker-registry 2.8 and Docker Hub send everything whatever `n` says. */
  readonly ignoreN: boolean;
  /** How the next page is named. A function gets the relative path and returns the target of the link. */
  readonly link: "absolute" | "relative" | "none" | ((next: string) => string);
  /** `tags: null` where there are none (Nexus, older docker-registry). */
  readonly nullTags: boolean;
  readonly tagOrder: "lexical" | "pushed" | "reverse";
  /** How upload sessions and new content are named. A function gets the relative path and returns the header. */
  readonly location: "absolute" | "relative" | ((path: string) => string);
  /**
   * The Location of an upload has a state that must be sent back: the same value, or (`verbatim`) the same characters,
   * as signed addresses are. skopeo writes the query anew.
   */
  readonly uploadState: "value" | "verbatim" | "none";
  /** The answer to a PUT with the `_state` of an earlier step: 416 by OpenShift's registry (d4cce000). */
  readonly staleState: 404 | 416;
  /** Content-Range of a PATCH must continue where the upload stands, else 416. */
  readonly checkContentRange: boolean;
  /** Sent as `OCI-Chunk-Min-Length`; a shorter chunk makes the next one a 416. */
  readonly chunkMinBytes: number | undefined;
  readonly chunkMaxBytes: number | undefined;
  /** What a PATCH is answered with: 202, 201 (ECR) or 204. 405 has no PATCH at all (Google Artifact Registry). */
  readonly patchStatus: 202 | 201 | 204 | 405;
  /** GET of an upload: `stuck` always gives the end of the first chunk (ECR), `bytes` adds the unit (Quay). */
  readonly uploadStatus: "right" | "stuck" | "bytes" | "none";
  /** When a connection breaks within a PATCH, the session keeps the bytes, or is lost (zot). */
  readonly brokenPatch: "keep" | "drop";
  /** POST `?digest=` takes the blob at once; otherwise it is answered 202, body unread. */
  readonly monolithicPost: boolean;
  readonly cancelUpload: boolean;
  /** A request with a longer body is answered 413, as a proxy in front would. */
  readonly bodyLimitBytes: number | undefined;
  /** More bytes than this in the closing request are answered 403 DENIED. */
  readonly quotaBytes: number | undefined;
  readonly readOnly: false | 405 | 503;
  readonly immutableTags: false | 400 | 409 | 412;
  readonly deletes: boolean;
  /** Whether `DELETE manifests/TAG` removes the tag; otherwise 400 UNSUPPORTED. */
  readonly deleteTags: boolean;
  /** GET of a blob: 206, or 200 with everything. */
  readonly ranges: boolean;
  /** A 416 promises as many bytes as the blob has and then breaks off (docker-registry 2.8). */
  readonly brokenRangeRefusal: boolean;
  /** GET of a blob is redirected to another origin, which requires its signature in the query. */
  readonly redirectBlobs: false | 302 | 303 | 307;
  /** A redirected address is valid for so many requests, then 403. */
  readonly signedUses: number;
  /** So many reads do not find new content. */
  readonly staleReads: number;
  /** Docker-Content-Digest on HEAD, GET and PUT. */
  readonly digestHeader: boolean;
  readonly etag: boolean;
  /** Repositories are created by a push; otherwise 404 NAME_UNKNOWN. */
  readonly createRepositories: boolean;
  /** `PUT manifests/DIGEST?tag=a&tag=b`, echoed in OCI-Tag (zot). */
  readonly multiTagPut: boolean;
};

export const WELL_BEHAVED: Behaviour = {
  referrersApi: true,
  referrersPageSize: 1000,
  referrersFilter: true,
  mount: "from",
  sparseIndex: false,
  verifyReferences: true,
  manifestTypes: undefined,
  manifestLimitBytes: 4 * 1024 * 1024,
  pageSize: undefined,
  maxPageSize: undefined,
  ignoreN: false,
  link: "relative",
  nullTags: false,
  tagOrder: "lexical",
  location: "absolute",
  uploadState: "value",
  staleState: 404,
  checkContentRange: true,
  chunkMinBytes: undefined,
  chunkMaxBytes: undefined,
  patchStatus: 202,
  uploadStatus: "right",
  brokenPatch: "keep",
  monolithicPost: false,
  cancelUpload: true,
  bodyLimitBytes: undefined,
  quotaBytes: undefined,
  readOnly: false,
  immutableTags: false,
  deletes: true,
  deleteTags: true,
  ranges: true,
  brokenRangeRefusal: false,
  redirectBlobs: false,
  signedUses: Number.POSITIVE_INFINITY,
  staleReads: 0,
  digestHeader: true,
  etag: true,
  createRepositories: true,
  multiTagPut: false,
};

/** What Debian's docker-registry 2.8 does. */
export const DOCKER_REGISTRY: Partial<Behaviour> = {
  referrersApi: false,
  ignoreN: true,
  nullTags: true,
  checkContentRange: false,
  brokenRangeRefusal: true,
  deleteTags: false,
};
