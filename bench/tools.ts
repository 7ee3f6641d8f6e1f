import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { makeCertificates } from "../test/support/certificates.ts";
import type { Command } from "./measure.ts";
import type { BenchRegistry } from "./servers.ts";

export const TOOLS = ["tagferry", "skopeo"] as const;
export type Tool = (typeof TOOLS)[number];

export type BenchNamespace = {
  readonly kubeconfigFile: string;
  readonly registryHost: string;
  readonly ca: string;
  readonly namespace: string;
};

/** A task that both tools know. */
export type Task = {
  readonly workspace: string;
  readonly source: BenchRegistry;
  /** A registry, a directory that becomes a layout, or a namespace of a cluster, where each repository has its stream. */
  readonly target: BenchRegistry | { readonly directory: string } | BenchNamespace;
  readonly what:
    | { readonly kind: "copy"; readonly repository: string; readonly tag: string }
    | { readonly kind: "sync"; readonly repositories: readonly string[] };
};

/** The command that does the task, with nothing remembered from an earlier run. `bin`: the Tagferry that is measured. */
export async function commandOf(tool: Tool, task: Task, bin: string): Promise<Command> {
  return tool === "tagferry" ? { program: bin, args: await tagferryArgs(task) } : skopeoCommand(task);
}

/** Referrers are left out: skopeo does not know them. */
async function tagferryArgs({ workspace, source, target, what }: Task): Promise<readonly string[]> {
  if ("namespace" in target) return streamsArgs(workspace, source, target, what);
  const { ca } = await makeCertificates();
  const hosts = [source, ...("host" in target ? [target] : [])];
  const registries = Object.fromEntries(
    hosts.map(({ host, url }) => [
      host,
      url.startsWith("https:") ? { ca: ca.certFile } : { plainHttp: true },
    ]),
  );
  const mirrors = (what.kind === "sync" ? what.repositories : [what.repository]).map((repository) => ({
    source: `${source.host}/${repository}`,
    target: "host" in target ? `${target.host}/${repository}` : `oci:${target.directory}`,
    tags: { all: true },
    referrers: false,
  }));
  const file = join(workspace, "tagferry.yaml");
  const config = { version: 1, registries, mirrors };
  await writeFile(file, JSON.stringify(config)); // JSON is YAML
  if (what.kind === "sync") return ["sync", "-c", file, "--no-progress"];
  return [
    "copy",
    "-c",
    file,
    "--no-progress",
    "--no-referrers",
    `${source.host}/${what.repository}:${what.tag}`,
    "host" in target
      ? `${target.host}/${what.repository}:${what.tag}`
      : `oci:${target.directory}:${what.tag}`,
  ];
}

/** Every tag of every repository into the streams of one namespace. */
async function streamsArgs(
  workspace: string,
  source: BenchRegistry,
  { kubeconfigFile, registryHost, ca, namespace }: BenchNamespace,
  what: Task["what"],
): Promise<readonly string[]> {
  const repositories = what.kind === "sync" ? what.repositories : [what.repository];
  const file = join(workspace, "tagferry.yaml");
  const config = {
    version: 1,
    registries: { [source.host]: { plainHttp: true }, [registryHost]: { ca } },
    clusters: { here: { kubeconfigFile, registry: registryHost } },
    mirrors: repositories.map((repository) => ({
      source: `${source.host}/${repository}`,
      target: `imagestream:${namespace}/${streamOf(repository)}`,
      tags: { all: true },
      referrers: false,
    })),
  };
  await writeFile(file, JSON.stringify(config)); // JSON is YAML
  return ["sync", "-c", file, "--no-progress"];
}

export function streamOf(repository: string): string {
  return repository.replaceAll("/", "-");
}

async function skopeoCommand({ workspace, source, target, what }: Task): Promise<Command> {
  const { trustDirectory } = await makeCertificates();
  // It remembers where it saw blobs and then mounts instead of copying: every run begins without that memory.
  const home = join(workspace, "skopeo");
  await rm(home, { recursive: true, force: true });
  await mkdir(home);
  const env = { _CONTAINERS_ROOTLESS_UID: "1000", XDG_DATA_HOME: home, XDG_RUNTIME_DIR: home, HOME: home };
  const trust = (side: "src" | "dest", registry: BenchRegistry): string[] =>
    registry.url.startsWith("https:")
      ? [`--${side}-cert-dir=${trustDirectory}`]
      : [`--${side}-tls-verify=false`];
  if ("namespace" in target) throw new Error("skopeo knows no image streams");
  const flags = [...trust("src", source), ...("host" in target ? trust("dest", target) : [])];
  if (what.kind === "copy") {
    const to =
      "host" in target
        ? `docker://${target.host}/${what.repository}:${what.tag}`
        : `oci:${target.directory}:${what.tag}`;
    const from = `docker://${source.host}/${what.repository}:${what.tag}`;
    const args = ["--insecure-policy", "copy", "--all", "--preserve-digests", ...flags, from, to];
    return { program: "skopeo", args, env };
  }
  if (!("host" in target)) throw new Error("skopeo sync writes to registries");
  const file = join(workspace, "skopeo.yaml");
  const images = Object.fromEntries(what.repositories.map((repository) => [repository, []]));
  await writeFile(file, JSON.stringify({ [source.host]: { "tls-verify": false, images } }));
  const args = [
    "--insecure-policy",
    "sync",
    "--all",
    "--preserve-digests",
    "--src",
    "yaml",
    "--dest",
    "docker",
  ];
  return { program: "skopeo", args: [...args, ...flags, file, `${target.host}/team`], env };
}
