import type { CodeFacts } from "../facts.ts";

/** The cluster and its image streams. */
export const CLUSTER_CODES = {
  CLUSTER_CONFIG: {
    class: "usage",
    meaning: "No way to the cluster: no service account, no kubeconfig, or a context that does not exist.",
    next: "Run in the cluster, run `oc login`, or set clusters.*.kubeconfigFile.",
  },
  CLUSTER_UNREACHABLE: {
    class: "target",
    meaning: "The API server does not answer.",
    next: "Look at the address in the kubeconfig; it is tried again at the next run.",
    retry: "again",
  },
  CLUSTER_DENIED: {
    class: "credentials",
    meaning: "The API server refuses us (401 or 403).",
    next: "Grant the right that is named, for example: oc adm policy add-role-to-user registry-editor -z SERVICEACCOUNT -n NAMESPACE.",
  },
  CLUSTER_TOKEN: {
    class: "credentials",
    meaning: "The integrated registry needs a token and the kubeconfig has only a client certificate.",
    next: "Log in with `oc login --token`, or make a token with `oc create token SERVICEACCOUNT`.",
  },
  CLUSTER_ANSWER: {
    class: "target",
    meaning: "The API server's answer is not one we understand.",
    next: "Look at what stands between us and the API server.",
    retry: "again",
  },
  CLUSTER_REGISTRY: {
    class: "target",
    meaning: "The cluster has no integrated registry, or it cannot be reached from here.",
    next: "Set clusters.*.registry to its public route, or use storage: source or a repository.",
  },
  STREAM_NAMESPACE: {
    class: "target",
    meaning: "The namespace does not exist, or is being deleted.",
    next: "Create it: oc new-project NAMESPACE.",
  },
  STREAM_INVALID: {
    class: "target",
    meaning: "The API server refuses what we would write as invalid.",
    next: "Read what it says. A stream has room for the notes of about a thousand mirrored tags (256 KiB of annotations): beyond that, split the mirror over several streams.",
  },
  STREAM_CONFLICT: {
    class: "target",
    meaning: "Somebody else kept changing the stream.",
    next: "Nothing: it is decided again at the next run.",
    retry: "later",
  },
  STREAM_OWNED: {
    class: "policy",
    meaning: "Another installation or mirror owns this tag of the stream.",
    next: "Remove the tag there, or release it, then run again.",
  },
  STREAM_TAKEOVER: {
    class: "policy",
    meaning: "The tag exists and is not ours: it imports from elsewhere, or somebody pushed it.",
    next: "Set takeover: true on the mirror to make it ours.",
  },
  STREAM_TAG_KIND: {
    class: "policy",
    meaning: "The tag is a reference or follows another tag; mirroring into it would be undone.",
    next: "Remove the spec tag, or mirror into another tag.",
  },
  STREAM_CONTESTED: {
    class: "policy",
    meaning: "Something puts back the spec tag that we took over.",
    next: "Take the tag out of what writes it (the field manager is named).",
  },
  STREAM_IMPORT: {
    class: "target",
    meaning: "The cluster could not import the image.",
    next: "Read the reason; a private source needs a pull secret in the namespace: oc create secret docker-registry …",
  },
  STREAM_IMPORT_MOVED: {
    class: "target",
    meaning: "The import brought another digest than the one that was planned.",
    next: "Nothing: it is decided again at the next run.",
    retry: "later",
  },
} as const satisfies Record<string, CodeFacts>;
