import type { Digest } from "../oci/digest.ts";
import type { Platform } from "../oci/platform.ts";
import type { Location, Repository } from "../oci/reference.ts";

/** What the operator asked for: read, checked and with every default in its place. */
export type Config = {
  /** The file it came from, for messages. */
  readonly file: string;
  /** Longest prefix first: `harbor.corp.example/team-a` before `harbor.corp.example`. */
  readonly registries: readonly RegistrySettings[];
  /** The one cluster this file speaks of, when it says more about it than the defaults. */
  readonly cluster: ClusterSettings;
  readonly mirrors: readonly Mirror[];
  readonly daemon: DaemonSettings;
  /** SHA-256 of the file's text: whether another one is in force. */
  readonly fingerprint: string;
};

export type DaemonSettings = {
  /** undefined: everything happens in one process. */
  readonly redis?: RedisSettings;
  /** Absolute path: where one process remembers what it did. */
  readonly stateFile?: string;
  /** Tags that a process copies at once. 0: this process takes no jobs. */
  readonly workers: number;
  /** Mirrors that a process checks at once. undefined: as many as there are mirrors, within limits. */
  readonly checks?: number;
  /** Absolute path: the keys that sign jobs. */
  readonly jobKeyFile?: string;
  readonly listen: { readonly host: string; readonly port: number };
  /** An address of its own for /livez and /readyz; undefined: they answer at `listen`. */
  readonly healthListen?: { readonly host: string; readonly port: number };
  /** For the API and the page's buttons. */
  readonly token?: SecretSource;
  /** Reads and does not act. */
  readonly readToken?: SecretSource;
  /** Whose X-Forwarded-User stands in the audit lines; undefined: nobody's. */
  readonly trustForwardedUser?: ForwardedUserTrust;
  /** The secret of each sender that has one; the others are off. */
  readonly webhooks?: Readonly<Partial<Record<HookSender, SecretSource>>>;
  /** How long work in flight may take after the process was told to stop. */
  readonly graceMs: number;
};

/** A proxy on this machine, or one that sends the secret in X-Tagferry-Proxy-Secret. */
export type ForwardedUserTrust =
  | { readonly kind: "loopback" }
  | { readonly kind: "secret"; readonly secret: SecretSource };

/** Who sends webhooks. Each has a format of its own. */
export const HOOK_SENDERS = ["dockerhub", "harbor", "quay", "github", "generic"] as const;
export type HookSender = (typeof HOOK_SENDERS)[number];

export type RedisSettings = {
  readonly url: string;
  readonly password?: SecretSource;
  /** PEM. */
  readonly ca?: string;
};

/** How we talk to one registry, or to one project of it. */
export type RegistrySettings = {
  /** Normalised host[:port]. */
  readonly registry: string;
  /** The path prefix within it that this entry is for; undefined for the whole registry. */
  readonly pathPrefix?: string;
  readonly kind: "auto" | "harbor" | "dockerhub" | "quay" | "distribution" | "openshift";
  readonly credentials?: CredentialSettings;
  /** PEM, read from the file that was named. */
  readonly ca?: string;
  readonly clientCertificate?: { readonly certificate: string; readonly key: string };
  /** Accept any certificate. */
  readonly insecure: boolean;
  /** Speak HTTP. */
  readonly plainHttp: boolean;
  readonly connections: number;
  readonly requestsPerSecond?: number;
  /** Hosts besides the registry's own that may be given its credentials to make a token. */
  readonly tokenRealms: readonly string[];
  /** What the file says of waiting; the client knows the rest. */
  readonly timeouts?: TimeoutSettings;
  /** Read large bodies through sockets of our own. */
  readonly largeReads?: boolean;
};

/** In milliseconds. */
export type TimeoutSettings = {
  readonly connectMs?: number;
  /** From the end of a request to the first byte of its answer. */
  readonly firstByteMs?: number;
  /** Silence within a body. */
  readonly idleMs?: number;
  /** How long a request or a blob is tried again without progress. */
  readonly retriesMs?: number;
};

/** Where a secret is; it is read when it is used, and again when it changed. */
export type CredentialSettings =
  | { readonly kind: "basic"; readonly username: SecretSource; readonly password: SecretSource }
  | { readonly kind: "token"; readonly token: SecretSource }
  | { readonly kind: "anonymous" };

export type SecretSource =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "environment"; readonly variable: string }
  | { readonly kind: "text"; readonly text: string };

export type ClusterSettings = {
  /** undefined: the pod's service account, else the current kubeconfig context. */
  readonly kubeconfigFile?: string;
  readonly context?: string;
  /** Host of the integrated registry as seen from here; undefined: told by the streams' status. */
  readonly registry?: string;
  /** The installation's name in the ownership annotation; undefined: the namespace, else the host name. */
  readonly owner?: string;
};

export type Target =
  | Location
  | { readonly kind: "imagestream"; readonly namespace: string; readonly name: string };

/** Where the bytes of a mirrored tag live, when the target is an image stream. */
export type Storage =
  | { readonly kind: "integrated" }
  | { readonly kind: "source" }
  | ({ readonly kind: "repository" } & Repository);

/** One entry of the configuration: from a repository to a target, with tag rules. */
export type Mirror = {
  readonly name: string;
  readonly source: Location;
  readonly target: Target;
  /** `integrated` and meaningless unless the target is an image stream. */
  readonly storage: Storage;
  readonly tags: TagRules;
  /** undefined: all. */
  readonly platforms?: readonly Platform[];
  readonly referrers: boolean;
  readonly takeover: boolean;
  readonly referencePolicy: "source" | "local";
  /** undefined: never delete. */
  readonly prune?: PruneRules;
  /** How long a check may take. Copies are not counted. */
  readonly deadlineMs: number;
  /** How often everything beneath a published tag is proved to be at the target. */
  readonly verifyEveryMs: number;
  /** The most bytes of one image. */
  readonly maxImageBytes: number;
  /** undefined: only when somebody asks for it. */
  readonly schedule?: Schedule;
};

/** When a mirror is due: a cron expression as node-cron reads it. */
export type Schedule = { readonly cron: string; readonly timeZone: string; readonly jitterMs: number };

export type TagRules =
  /** Exact names: no listing is needed. A digest pins what the tag must be. */
  | {
      readonly kind: "exact";
      readonly tags: readonly string[];
      readonly digests?: Readonly<Record<string, Digest>>;
    }
  | {
      readonly kind: "rules";
      /** What is taken: the union of these. */
      readonly include: readonly TagMatcher[];
      /** Globs. */
      readonly exclude: readonly string[];
      /** Only what was pushed (or made) within this time. */
      readonly sinceMs?: number;
      readonly newest?: { readonly count: number; readonly by: "semver" | "pushed" | "name" };
      /** More tags than this are an error. */
      readonly max?: number;
    };

export type TagMatcher =
  | { readonly kind: "all" }
  | { readonly kind: "exact"; readonly tag: string }
  | { readonly kind: "glob"; readonly glob: string }
  | { readonly kind: "regex"; readonly regex: string }
  | { readonly kind: "semver"; readonly range: string };

export type PruneRules = {
  /** How long a tag must have been missing at the source. */
  readonly graceMs: number;
  /** No more than this in one run: a share of the mirror's owned tags, or a number of them. */
  readonly atMost:
    | { readonly kind: "share"; readonly share: number }
    | { readonly kind: "count"; readonly count: number };
};
