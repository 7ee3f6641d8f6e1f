import { type Descriptor, descriptorOf, fallbackTag } from "../content/content.ts";
import { anyContent, artifact, cosignSignature, type LayerPool } from "../content/images.ts";
import type { Ledger } from "../ledger.ts";
import { walk } from "../oracle/closure.ts";
import type { Random } from "../random.ts";
import { addFallbackReferrer, type Repository } from "../registry/repository.ts";
import { childrenOf, type Mirror, publishSource, wantedTags } from "./mirror.ts";

/** What people and build pipelines do at the source. */

export type Scene = { readonly ledger: Ledger; readonly random: Random; readonly pool: LayerPool };

/** Pushes a new image under a tag; sometimes the previous image again, as in a rollback. */
export function moveTag({ ledger, random, pool }: Scene, mirror: Mirror, tag: string): void {
  const { source, sourceEnd } = mirror;
  const earlier = source.history.filter((change) => change.tag === tag).at(-2)?.digest;
  if (earlier !== undefined && source.manifest(earlier) !== undefined && random.chance(0.1)) {
    source.setTag(tag, earlier);
  } else {
    // nested indexes are rare; few tools read them in layouts, and OpenShift does not take them
    const nested = sourceEnd.kind === "registry" && mirror.targetEnd.kind !== "stream";
    const content = anyContent(random, pool, { nested });
    source.add(content);
    source.setTag(tag, content.top.digest);
  }
  ledger.note("harness", `${mirror.name}: the source moves ${tag} to ${source.tags.get(tag) ?? ""}`);
  publishSource(mirror);
}

/** Signs the image of a tag: with a referrer, a referrer of a referrer, or a cosign tag. */
export function sign({ ledger, random }: Scene, mirror: Mirror, tag: string): void {
  const { source } = mirror;
  const top = source.tags.get(tag);
  if (top === undefined || source.manifest(top) === undefined) return;
  const subject = random.chance(0.7) ? top : random.pick([top, ...childrenOf(source, top)]);
  if (random.chance(0.4)) {
    const signature = cosignSignature(random, subject);
    source.add(signature);
    source.setTag(`${fallbackTag(subject)}.${random.pick(["sig", "sig", "att"])}`, signature.top.digest);
  } else {
    const signed = refer(random, mirror, subject);
    if (signed !== undefined && random.chance(0.25)) refer(random, mirror, signed.digest);
  }
  mirror.referrersChangedAt = ledger.now();
  ledger.note("harness", `${mirror.name}: the source signs ${subject} of ${tag}`);
  publishSource(mirror);
}

function refer(random: Random, { source, sourceEnd }: Mirror, subject: string): Descriptor | undefined {
  const manifest = source.manifest(subject);
  if (manifest === undefined) return undefined;
  const content = artifact(random, descriptorOf(manifest));
  const listedByServer = sourceEnd.kind !== "registry" || sourceEnd.registry.rules.referrersApi;
  if (listedByServer) source.add(content);
  else addFallbackReferrer(source, subject, content);
  return content.top;
}

/** A deletion at the source, and how it is undone. */
export type Deletion = { readonly undo: () => void };

/** Deletes the manifest of a tag together with the tag, or only a child of it (a broken source). */
export function deleteManifest({ ledger, random }: Scene, mirror: Mirror, tag: string): Deletion | undefined {
  const { source } = mirror;
  const top = source.tags.get(tag);
  if (top === undefined) return undefined;
  const digest = random.pick([top, ...childrenOf(source, top)]);
  const manifest = source.manifest(digest);
  if (manifest === undefined) return undefined;
  source.manifests.delete(digest);
  if (digest === top) source.removeTag(tag);
  mirror.deletedAt = ledger.now();
  ledger.note("harness", `${mirror.name}: the source deletes ${digest} of ${tag}`);
  return {
    undo: () => {
      source.manifests.set(digest, manifest);
      if (digest === top && !source.tags.has(tag)) source.setTag(tag, top);
      mirror.deletedAt = ledger.now();
    },
  };
}

export function removeTag({ ledger }: Scene, mirror: Mirror, tag: string): Deletion | undefined {
  const { source, rule } = mirror;
  const digest = source.tags.get(tag);
  if (digest === undefined) return undefined;
  source.removeTag(tag);
  mirror.deletedAt = ledger.now();
  ledger.note("harness", `${mirror.name}: the source removes ${tag}`);
  publishSource(mirror);
  // a missing tag with an exact name is correctly a failure, so it is pushed again
  return {
    undo: () => (rule.kind === "exact" && !source.tags.has(tag) ? source.setTag(tag, digest) : undefined),
  };
}

export type TargetDamage =
  | "a blob is lost at the target behind its back"
  | "a blob is truncated at the target behind its back"
  | "a tag is removed at the target behind its back";

/** Damages a target registry without a request. Returns whether there was something to damage. */
export function damageTarget(
  { ledger, random }: Scene,
  mirror: Mirror,
  repo: Repository,
  kind: TargetDamage,
): boolean {
  const tags = wantedTags(mirror).filter((tag) => repo.tags.has(tag));
  if (tags.length === 0) return false;
  const tag = random.pick(tags);
  if (kind === "a tag is removed at the target behind its back") {
    repo.tags.delete(tag);
    ledger.note("harness", `${mirror.name}: the target loses the tag ${tag}`);
    return true;
  }
  const { blobs } = walk(repo, repo.tags.get(tag) ?? "");
  if (blobs.size === 0) return false;
  const digest = random.pick([...blobs]);
  const bytes = repo.blob(digest);
  if (bytes === undefined || bytes.length < 2) return false;
  if (kind === "a blob is lost at the target behind its back") repo.blobs.delete(digest);
  else repo.blobs.set(digest, bytes.subarray(0, Math.floor(bytes.length / 2)));
  ledger.note("harness", `${mirror.name}: ${kind}: ${digest}`);
  return true;
}
