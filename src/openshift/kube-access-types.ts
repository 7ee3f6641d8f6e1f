/** How to reach an API server, and as whom. */
export type KubeAccess = {
  readonly server: URL;
  readonly namespace: string | undefined;
  /** The installation's name when the configuration gives none. */
  readonly installation: string;
  readonly inCluster: boolean;
  readonly tls: KubeTls;
  readonly proxy?: URL;
  /** Asked before each request: tokens are renewed on disk. */
  headers(): Promise<Readonly<Record<string, string>>>;
};

export type KubeTls = {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
};

export type KubeAccessOptions = {
  readonly kubeconfigFile?: string | undefined;
  readonly context?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where the files of a pod's service account are. */
  readonly serviceAccountDirectory?: string;
};
