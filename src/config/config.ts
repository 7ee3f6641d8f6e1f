import type { Digest } from "../oci/digest.ts";
import type { Platform } from "../oci/platform.ts";
import type { Location, Repository } from "../oci/reference.ts";

/** The configuration: read, checked, and complete with all defaults. */
export type Config = {
  /** The path of the file, for messages. */
  readonly file: string;
  /** Longest prefix first: `harbor.corp.example/team-a` before `harbor.corp.example`. */
  readonly registries: readonly RegistrySettings[];
  /** The cluster settings. A file has at most one cluster. */
  readonly cluster: ClusterSettings;
  readonly mirrors: readonly Mirror[];
  readonly daemon: DaemonSettings;
  /** SHA-256 of the file's text. It shows whether the configuration changed. */
  readonly fingerprint: string;
};

export type DaemonSettings = {
  /** undefined: one process does everything. */
  readonly redis?: RedisSettings;
  /** Absolute path of the file in which a single process stores its state. */
  readonly stateFile?: string;
  /** How many tags a process copies at once. 0: this process takes no jobs. */
  readonly workers: number;
  /** How many mirrors a process checks at once. undefined: as many as there are mirrors, within limits. */
  readonly checks?: number;
  /** Absolute path of the file with the keys that sign jobs. */
  readonly jobKeyFile?: string;
  readonly listen: { readonly host: string; readonly port: number };
  /** A separate address for /livez and /readyz; undefined: they use `listen`. */
  readonly healthListen?: { readonly host: string; readonly port: number };
  /** The token for the API and for the buttons of the page. */
  readonly token?: SecretSource;
  /** A token that allows reading only. */
  readonly readToken?: SecretSource;
  /** Whose X-Forwarded-User appears in the audit log; undefined: nobody's. */
  readonly trustForwardedUser?: ForwardedUserTrust;
  /** The secret of each webhook sender. Senders without a secret are disabled. */
  readonly webhooks?: Readonly<Partial<Record<HookSender, SecretSource>>>;
  /** How long running work may continue after the process was told to stop. */
  readonly graceMs: number;
};

/** A proxy on this machine, or a proxy that sends the secret in X-Tagferry-Proxy-Secret. */
export type ForwardedUserTrust =
  | { readonly kind: "loopback" }
  | { readonly kind: "secret"; readonly secret: SecretSource };

/** The senders of webhooks. Each has its own format. */
export const HOOK_SENDERS = ["dockerhub", "harbor", "quay", "github", "generic"] as const;
export type HookSender = (typeof HOOK_SENDERS)[number];

export type RedisSettings = {
  readonly url: string;
  readonly password?: SecretSource;
  /** PEM. */
  readonly ca?: string;
};

/** The settings for one registry, or for one project of it. */
export type RegistrySettings = {
  /** Normalized host[:port]. */
  readonly registry: string;
  /** The path prefix that this entry applies to; undefined: the whole registry. */
  readonly pathPrefix?: string;
  readonly kind: "auto" | "harbor" | "dockerhub" | "quay" | "distribution" | "openshift";
  readonly credentials?: CredentialSettings;
  /** The PEM text of the file that the configuration names. */
  readonly ca?: string;
  readonly clientCertificate?: { readonly certificate: string; readonly key: string };
  /** Accept any certificate. */
  readonly insecure: boolean;
  /** Use HTTP. */
  readonly plainHttp: boolean;
  readonly connections: number;
  readonly requestsPerSecond?: number;
  /** Additional hosts that may receive this registry's credentials to make a token. */
  readonly tokenRealms: readonly string[];
  /** Only the values from the file. The client has the defaults. */
  readonly timeouts?: TimeoutSettings;
  /** Read large bodies through our own sockets. */
  readonly largeReads?: boolean;
};

/** In milliseconds. */
export type TimeoutSettings = {
  readonly connectMs?: number;
  /** From the end of a request to the first byte of its answer. */
  readonly firstByteMs?: number;
  /** The longest silence within a body. */
  readonly idleMs?: number;
  /** How long a request or a blob is retried without progress. */
  readonly retriesMs?: number;
};

/** Where a secret is stored. It is read when it is used, and again when it changes. */
export type CredentialSettings =
  | { readonly kind: "basic"; readonly username: SecretSource; readonly password: SecretSource }
  | { readonly kind: "token"; readonly token: SecretSource }
  | { readonly kind: "anonymous" };

export type SecretSource =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "environment"; readonly variable: string }
  | { readonly kind: "text"; readonly text: string };

export type ClusterSettings = {
  /** undefined: the pod's service account, otherwise the current kubeconfig context. */
  readonly kubeconfigFile?: string;
  readonly context?: string;
  /** The host of the integrated registry as seen from here; undefined: taken from the status of the streams. */
  readonly registry?: string;
  /** The installation's name in the ownership annotation; undefined: the namespace, otherwise the host name. */
  readonly owner?: string;
};

export type Target =
  | Location
  | { readonly kind: "imagestream"; readonly namespace: string; readonly name: string };

/** Where the bytes of a mirrored tag are stored when the target is an image stream. */
export type Storage =
  | { readonly kind: "integrated" }
  | { readonly kind: "source" }
  | ({ readonly kind: "repository" } & Repository);

/** One mirror: a source repository, a target, and tag rules. */
export type Mirror = {
  readonly name: string;
  readonly source: Location;
  readonly target: Target;
  /** Used only when the target is an image stream; otherwise always `integrated`. */
  readonly storage: Storage;
  readonly tags: TagRules;
  /** undefined: all. */
  readonly platforms?: readonly Platform[];
  readonly referrers: boolean;
  readonly takeover: boolean;
  readonly referencePolicy: "source" | "local";
  /** undefined: never delete. */
  readonly prune?: PruneRules;
  /** The limit for one check. Copies do not count. */
  readonly deadlineMs: number;
  /** How often all content of a published tag is verified at the target. */
  readonly verifyEveryMs: number;
  /** The maximum size of one image. */
  readonly maxImageBytes: number;
  /** undefined: checked only on request. */
  readonly schedule?: Schedule;
  /** For people: the page filters by them. */
  readonly labels?: Readonly<Record<string, string>>;
};

/** When a mirror is checked: a cron expression in the syntax of node-cron. */
export type Schedule = { readonly cron: string; readonly timeZone: string; readonly jitterMs: number };

export type TagRules =
  /** Exact names: no listing is needed. A digest pins the content of the tag. */
  | {
      readonly kind: "exact";
      readonly tags: readonly string[];
      readonly digests?: Readonly<Record<string, Digest>>;
    }
  | {
      readonly kind: "rules";
      /** Selects the tags that match at least one of these. */
      readonly include: readonly TagMatcher[];
      /** Globs. */
      readonly exclude: readonly string[];
      /** Only tags that were pushed (or created) within this time. */
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
  /** How long a tag must be missing at the source before it is deleted. */
  readonly graceMs: number;
  /** The limit for one run: a share of the tags that the mirror owns, or a number of tags. */
  readonly atMost:
    | { readonly kind: "share"; readonly share: number }
    | { readonly kind: "count"; readonly count: number };
};
