import type { Details } from "../lib/error.ts";

/**
 * Replaces the words in braces of an advice by facts of the failure: `{registry}`, `{repository}`, `{namespace}`,
 * `{project}`, `{account}`, `{mirror}`, `{helper}`. A word without a fact becomes a command or a description that works
 * without it.
 */
export function adviceWith(advice: string, details: Details): string {
  return advice.replaceAll(/\{([a-z]+)\}/g, (whole, word: string) => {
    const fact = FACTS[word];
    return fact ? (fact.from(details) ?? fact.otherwise) : whole;
  });
}

type Fact = { readonly from: (details: Details) => string | undefined; readonly otherwise: string };

const FACTS: Readonly<Record<string, Fact>> = {
  registry: { from: registryOf, otherwise: "HOST" },
  repository: { from: repositoryOf, otherwise: "HOST/REPOSITORY" },
  namespace: { from: namespaceOf, otherwise: "NAMESPACE" },
  project: { from: projectOf, otherwise: "of the target" },
  // without a name, the shell asks the cluster
  account: { from: ({ account }) => textOf(account), otherwise: '"$(oc whoami)"' },
  mirror: { from: ({ where }) => textOf(where), otherwise: "MIRROR" },
  helper: { from: ({ helper }) => textOf(helper), otherwise: "the credential helper" },
};

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** `where` without a scheme: `quay.io/team/app:1`, `quay.io`, `web/app:1`. */
function placeOf({ where }: Details): string | undefined {
  return textOf(where)?.replace(/^(?:https?:\/\/|imagestream:)/, "");
}

function registryOf(details: Details): string | undefined {
  const [host = ""] = placeOf(details)?.split("/") ?? [];
  return host === "" || host.startsWith("oci:") ? undefined : host;
}

/** Without tag and digest. A colon before the last slash belongs to the port. */
function repositoryOf(details: Details): string | undefined {
  const [name = ""] = placeOf(details)?.split("@") ?? [];
  const colon = name.indexOf(":", name.lastIndexOf("/") + 1);
  return textOf(colon === -1 || name.startsWith("oci:") ? name : name.slice(0, colon));
}

function namespaceOf(details: Details): string | undefined {
  return textOf(details["namespace"]) ?? textOf(placeOf(details)?.split("/")[0]);
}

/** The first component of the repository, as Harbor and Quay name projects. */
function projectOf(details: Details): string | undefined {
  const [host, project, more] = repositoryOf(details)?.split("/") ?? [];
  return more === undefined || project === undefined ? undefined : `\`${project}\` at ${host}`;
}
