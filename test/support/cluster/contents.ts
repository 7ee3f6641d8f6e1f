import type { RegistryStore } from "../registry/store.ts";
import type { ClusterOptions, TestCluster } from "./cluster.ts";
import { putObject } from "./core-api.ts";
import { pruneImages } from "./prune.ts";
import { seedStream } from "./seed.ts";
import {
  type ClusterState,
  commitStream,
  compact,
  contextOf,
  createState,
  findStream,
  getStream,
} from "./state.ts";
import { prepareUpdate } from "./streams.ts";
import { watchesFor } from "./watch.ts";

export function stateOf({
  namespaces = ["mirror"],
  allowedRegistries,
  defaultImportMode,
}: ClusterOptions): ClusterState {
  const state = createState();
  state.allowedRegistries = allowedRegistries;
  state.defaultImportMode = defaultImportMode ?? "Legacy";
  for (const name of namespaces) addNamespace(state, name);
  return state;
}

function addNamespace(state: ClusterState, name: string): void {
  state.namespaces.add(name);
  putObject(state, "", "namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name } });
  const project = { apiVersion: "project.openshift.io/v1", kind: "Project", metadata: { name } };
  putObject(state, "project.openshift.io", "projects", project);
}

/** Publishes the cluster's settings for its registry and for imports. */
export function publishConfig(state: ClusterState): void {
  const { registryHost, publicRegistryHost, allowedRegistries } = state;
  const allowed = allowedRegistries?.map((domainName) => ({ domainName, insecure: false }));
  putObject(state, "config.openshift.io", "images", {
    apiVersion: "config.openshift.io/v1",
    kind: "Image",
    metadata: { name: "cluster" },
    spec: allowed ? { allowedRegistriesForImport: allowed } : {},
    status: {
      ...(registryHost === "" ? {} : { internalRegistryHostname: registryHost }),
      ...(publicRegistryHost === "" ? {} : { externalRegistryHostnames: [publicRegistryHost] }),
    },
  });
  putObject(state, "imageregistry.operator.openshift.io", "configs", {
    apiVersion: "imageregistry.operator.openshift.io/v1",
    kind: "Config",
    metadata: { name: "cluster" },
    spec: { managementState: registryHost === "" ? "Removed" : "Managed" },
  });
}

/** Lets a test read and change the contents without the API. */
export function contentsOf(
  state: ClusterState,
  store: RegistryStore,
): Pick<
  TestCluster,
  | "stream"
  | "image"
  | "seedStream"
  | "editStream"
  | "createNamespace"
  | "seedObject"
  | "objects"
  | "seedPullSecret"
  | "setLimits"
  | "setAllowedRegistries"
  | "prune"
  | "compact"
  | "endWatches"
  | "sendBookmarks"
> {
  return {
    stream: (namespace, name) => findStream(state, namespace, name),
    image: (digest) => structuredClone(state.images.get(digest)),
    seedStream: (namespace, name, seed) => seedStream(state, namespace, name, seed),
    editStream: (namespace, name, manager, change) => {
      const old = getStream(state, namespace, name);
      const edited = structuredClone(old);
      change(edited);
      return commitStream(state, prepareUpdate(edited, old, contextOf(state), { keepStatus: true }), manager);
    },
    createNamespace: (name) => addNamespace(state, name),
    seedObject: (group, resource, object) => putObject(state, group, resource, object),
    objects: (group, resource) => [...(state.objects.get(`${group}/${resource}`)?.values() ?? [])],
    seedPullSecret: (namespace, host, username, password) => {
      const auth = Buffer.from(`${username}:${password}`).toString("base64");
      const config = Buffer.from(JSON.stringify({ auths: { [host]: { auth } } })).toString("base64");
      putObject(state, "", "secrets", {
        apiVersion: "v1",
        kind: "Secret",
        type: "kubernetes.io/dockerconfigjson",
        metadata: { name: `pull-${host.replaceAll(/[^a-z0-9]/g, "-")}`, namespace },
        data: { ".dockerconfigjson": config },
      });
    },
    setLimits: (namespace, limits) => {
      state.limits.set(namespace, limits);
    },
    setAllowedRegistries: (allowed) => {
      state.allowedRegistries = allowed;
      publishConfig(state);
    },
    prune: () => pruneImages(state, store),
    compact: () => compact(state),
    endWatches: () => {
      for (const { end } of watchesFor(state).open) end();
    },
    sendBookmarks: () => {
      for (const { bookmark } of watchesFor(state).open) bookmark();
    },
  };
}

export function kubeconfigOf({
  apiUrl,
  token,
  ca,
}: {
  readonly apiUrl: string;
  readonly token: string;
  readonly ca: string | undefined;
}): string {
  // client-node refuses plain HTTP unless it is told to skip certificate checks
  const authority =
    ca === undefined
      ? "insecure-skip-tls-verify: true"
      : `certificate-authority-data: ${Buffer.from(ca).toString("base64")}`;
  return `apiVersion: v1
kind: Config
current-context: test
contexts:
  - name: test
    context:
      cluster: test
      user: test
      namespace: default
clusters:
  - name: test
    cluster:
      server: ${apiUrl}
      ${authority}
users:
  - name: test
    user:
      token: ${token}
`;
}
