import { existsSync } from "node:fs";

import { NAMESPACE, type StreamCluster, streamShown } from "../cluster/streams.ts";
import { DIGEST_TAG, parseManifest } from "../content/content.ts";
import { type LayoutView, readLayout } from "../layout/read.ts";
import { writeLayout } from "../layout/write.ts";
import { fallbackReferrers, type Shown } from "../oracle/referrers.ts";
import { listedReferrers } from "../registry/manifests.ts";
import type { Repository, TagChange } from "../registry/repository.ts";
import type { Registry } from "../registry/server.ts";

/** The tag rules of a mirror. */
export type TagRule =
  | { readonly kind: "exact"; readonly names: readonly string[] }
  | { readonly kind: "all" }
  | { readonly kind: "glob"; readonly prefix: string };

/** One end of a mirror: a repository of a registry, a layout on disk, or (a target only) an image stream. */
export type End =
  | { readonly kind: "stream"; readonly streams: StreamCluster; readonly name: string }
  | { readonly kind: "registry"; readonly registry: Registry; readonly name: string }
  | { readonly kind: "layout"; readonly directory: string };

/** One mirror of a scenario, with the real state of source and target. */
export type Mirror = {
  readonly name: string;
  readonly rule: TagRule;
  readonly sourceEnd: End;
  readonly targetEnd: End;
  /** The content of the source. A layout is written from it. */
  readonly source: Repository;
  /** Moves of the target's tags. For a layout: those that were seen on disk. */
  readonly targetHistory: TagChange[];
  /** When something that belongs to images changed at the source last. */
  referrersChangedAt: number;
  /** When content was deleted at the source last. */
  deletedAt: number;
};

export function wants({ rule }: Mirror, tag: string): boolean {
  if (DIGEST_TAG.test(tag)) return false;
  switch (rule.kind) {
    case "exact":
      return rule.names.includes(tag);
    case "all":
      return true;
    case "glob":
      return tag.startsWith(rule.prefix);
  }
}

/** The wanted tags that the source has now. */
export function wantedTags(mirror: Mirror): string[] {
  return [...mirror.source.tags.keys()].filter((tag) => wants(mirror, tag));
}

export function reference(end: End): string {
  switch (end.kind) {
    case "layout":
      return `oci:${end.directory}`;
    case "stream":
      return `imagestream:${NAMESPACE}/${end.name}`;
    case "registry":
      return `${end.registry.host}/${end.name}`;
  }
}

/** As `mirrors[]` of the configuration. */
export function asConfig(mirror: Mirror): Record<string, unknown> {
  const { name, rule, sourceEnd, targetEnd } = mirror;
  const tags =
    rule.kind === "exact" ? rule.names : rule.kind === "all" ? { all: true } : { glob: [`${rule.prefix}*`] };
  return { name, source: reference(sourceEnd), target: reference(targetEnd), tags };
}

/** Writes the source as it should be. */
export function publishSource({ sourceEnd, source }: Mirror, options?: { readonly whole?: boolean }): void {
  if (sourceEnd.kind === "layout") writeLayout(sourceEnd.directory, source, options);
}

/** What has to arrive. Image streams show no referrers, so only cosign's tags are copied there. */
export function sourceShown({ sourceEnd, targetEnd, source }: Mirror): Shown {
  const api = sourceEnd.kind !== "registry" || sourceEnd.registry.rules.referrersApi;
  return {
    manifest: source.manifest,
    blob: source.blob,
    tags: source.tags,
    referrers: (digest) =>
      targetEnd.kind === "stream"
        ? []
        : api
          ? source.referrers(digest).map((entry) => entry.digest)
          : fallbackReferrers(source, source.tags, digest),
  };
}

/** The current state of the target. Throws when a layout cannot be read. */
export function targetShown({ targetEnd }: Mirror): Shown {
  if (targetEnd.kind === "registry") {
    const { registry, name } = targetEnd;
    const repo = registry.repository(name);
    return {
      manifest: repo.manifest,
      blob: repo.blob,
      tags: repo.tags,
      referrers: (digest) =>
        registry.rules.referrersApi
          ? listedReferrers(repo, digest, registry.rules).map((entry) => entry.digest)
          : fallbackReferrers(repo, repo.tags, digest),
    };
  }
  if (targetEnd.kind === "stream") return streamShown(targetEnd.streams.cluster, targetEnd.name);
  if (!existsSync(`${targetEnd.directory}/index.json`)) return NOTHING;
  const view = readLayout(targetEnd.directory);
  return { ...view, referrers: (digest) => layoutReferrers(view, digest) };
}

const NOTHING: Shown = {
  manifest: () => undefined,
  blob: () => undefined,
  tags: new Map(),
  referrers: () => [],
};

function layoutReferrers(view: LayoutView, digest: string): string[] {
  return [...view.referrers(digest), ...fallbackReferrers(view, view.tags, digest)];
}

/** The digests that a tag had at the source from `from` to `to`, and whether it was there all the time. */
export function during(
  { source }: Mirror,
  tag: string,
  from: number,
  to: number,
): { readonly digests: readonly string[]; readonly always: boolean } {
  const changes = source.history.filter((change) => change.tag === tag && change.at <= to);
  const before = changes.filter(({ at }) => at <= from).at(-1);
  const within = changes.filter(({ at }) => at > from);
  const digests = [before, ...within].flatMap((change) =>
    change?.digest === undefined ? [] : [change.digest],
  );
  const always = before?.digest !== undefined && within.every((change) => change.digest !== undefined);
  return { digests, always };
}

/** The images of an index, which can be signed. BuildKit's attestations in the index are left out. */
export function childrenOf(repo: Repository, digest: string): string[] {
  const bytes = repo.manifest(digest)?.bytes;
  const { manifests = [] } = bytes === undefined ? {} : parseManifest(bytes);
  return manifests
    .filter(({ annotations }) => annotations?.["vnd.docker.reference.type"] === undefined)
    .map((entry) => entry.digest);
}
