import type { CodeFacts } from "../facts.ts";

/** The cluster and its image streams. */
export const CLUSTER_CODES = {
  CLUSTER_CONFIG: {
    class: "usage",
    meaning:
      "There is no way to reach the cluster: no service account, no kubeconfig, or a context that does not exist.",
    next: "Run in the cluster, run `oc login`, or set clusters.*.kubeconfigFile.",
  },
  CLUSTER_UNREACHABLE: {
    class: "target",
    meaning: "The API server does not answer.",
    next: "Check the address in the kubeconfig. Tagferry tries again at the next run.",
    retry: "again",
  },
  CLUSTER_DENIED: {
    class: "credentials",
    meaning: "The API server refuses the request (401 or 403).",
    next: "Grant it: oc adm policy add-role-to-user registry-editor {account} -n {namespace}",
  },
  CLUSTER_TOKEN: {
    class: "credentials",
    meaning: "The integrated registry needs a token, and the kubeconfig has only a client certificate.",
    next: "Log in with a token (`oc login --token`, or the kubeconfig of a service account): a client certificate is not enough for the integrated registry.",
  },
  CLUSTER_ANSWER: {
    class: "target",
    meaning: "The answer of the API server is malformed.",
    next: "Check the proxies between Tagferry and the API server.",
    retry: "again",
  },
  CLUSTER_REGISTRY: {
    class: "target",
    meaning: "The cluster has no integrated registry, or this machine cannot reach it.",
    next: "Set clusters.*.registry to its public route, or use `storage: source` or a repository as storage.",
  },
  STREAM_NAMESPACE: {
    class: "target",
    meaning: "The namespace does not exist, or is being deleted.",
    next: "Create it: oc new-project {namespace}",
  },
  STREAM_INVALID: {
    class: "target",
    meaning: "The API server refuses the image stream as invalid.",
    next: "Read the reason in the message. The annotations of a stream have room for about a thousand mirrored tags (256 KiB): for more tags, split the mirror over several streams.",
  },
  STREAM_CONFLICT: {
    class: "target",
    meaning: "Other clients changed the stream again and again while Tagferry wrote it.",
    next: "Nothing to do: Tagferry tries again at the next run.",
    retry: "later",
  },
  STREAM_OWNED: {
    class: "policy",
    meaning: "Another installation or mirror owns this tag of the stream.",
    next: "Remove the tag from the other mirror, or release it, then run again.",
  },
  STREAM_TAKEOVER: {
    class: "policy",
    meaning:
      "The tag exists and Tagferry does not own it: it imports from another registry, or somebody pushed it.",
    next: "Set `takeover: true` on the mirror if Tagferry should own the tag.",
  },
  STREAM_TAG_KIND: {
    class: "policy",
    meaning:
      "The tag is a reference or follows another tag. The cluster would overwrite what Tagferry publishes.",
    next: "Remove the spec tag, or mirror into another tag.",
  },
  STREAM_CONTESTED: {
    class: "policy",
    meaning: "Another program writes the spec tag again that Tagferry took over.",
    next: "Remove the tag from the program that writes it; the message names its field manager, where the stream records one.",
  },
  STREAM_IMPORT: {
    class: "target",
    meaning: "The cluster could not import the image.",
    next: "Read the reason in the message. A private source needs a pull secret in the namespace {namespace}: `oc create secret docker-registry --help` shows how.",
  },
  STREAM_IMPORT_MOVED: {
    class: "target",
    meaning: "The cluster imported another digest than the planned one, because the source tag moved.",
    next: "Nothing to do: Tagferry decides again at the next run.",
    retry: "later",
  },
} as const satisfies Record<string, CodeFacts>;
