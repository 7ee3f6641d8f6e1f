/** How to connect to an API server, and as which user. */
export type KubeAccess = {
  readonly server: URL;
  readonly namespace: string | undefined;
  /** The default name of the installation, when the configuration gives none. */
  readonly installation: string;
  readonly inCluster: boolean;
  readonly tls: KubeTls;
  readonly proxy?: URL;
  /** Called before each request, because tokens are renewed on disk. */
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
  /** The directory with the files of a pod's service account. */
  readonly serviceAccountDirectory?: string;
};
