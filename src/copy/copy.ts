import { TagferryError } from "../errors/error.ts";
import { limit } from "../lib/limit.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { Lease } from "../oci/lease.ts";
import type { Platform } from "../oci/platform.ts";
import type { ImageSource, ImageTarget } from "../oci/store.ts";
import { type CopyEvent, openEvents } from "./events.ts";
import { type Graph, walk } from "./graph.ts";
import { openGroup } from "./group.ts";
import { openManifestCache } from "./manifest-cache.ts";
import { type CopyMemory, openCopyMemory } from "./memory.ts";
import { openPusher, type Pusher, type Work } from "./push.ts";
import { findReferrers, type FoundReferrer, pushReferrers } from "./referrers.ts";
import { type CopySummary, type ImageFacts, openSummary } from "./summary.ts";

export type CopyOptions = {
  /** Written last, when everything else is in place. Without a tag, the image is pushed by digest and not published. */
  readonly tag?: string;
  /** The caller knows that the tag must be written. The target is not asked what the tag points to. */
  readonly isTagMissing?: boolean;
  /**
   * Content that is damaged at the target. It is sent even when it seems to be there, and nothing is concluded from the
   * presence of other content.
   */
  readonly again?: ReadonlySet<Digest> | undefined;
  /** The maximum size of an image: all its blobs and manifests that are to be copied. */
  readonly maxBytes?: number | undefined;
  /** Copies only these platforms of an index. The index stays unchanged, so the target must accept a sparse index. */
  readonly platforms?: readonly Platform[];
  /** Copies signatures, SBOMs and attestations too. */
  readonly referrers: boolean;
  /**
   * Writes the tags of signatures that are found by a tag (`sha256-….sig`). With `false`, they are pushed by digest;
   * a later copy writes the tags. Default: true.
   */
  readonly referrerTags?: boolean;
  /** The check that found the image. What the source remembers of its listing must be newer: `ReferrersOptions`. */
  readonly occasion?: string | undefined;
  readonly lease: Lease;
  /** Limits the memory of all copies of this process. Default: the limits of one process, for this copy alone. */
  readonly memory?: CopyMemory | undefined;
  /** Of this one image. Default: 4 blobs, 8 manifests. */
  readonly concurrency?: { readonly blobs?: number; readonly manifests?: number };
  readonly signal?: AbortSignal | undefined;
  /** Called immediately before the tag is written. When it throws, the tag stays unchanged. */
  readonly assertStillOurs?: (() => Promise<void>) | undefined;
};

/**
 * Copies one image, known by its digest, with everything it names and (if `referrers`) everything that refers to it.
 *
 * The order is the same for every target. First the manifests are read and checked. Then the blobs are pushed, then
 * the children by digest. When the image has referrers, the image follows by digest, then its referrers. The tag is
 * written last. So a tag always points to a complete image with its signatures, and a registry that requires the
 * subject of a referrer has it. (OpenShift's registry accepts a manifest by digest, but does not show it.) An image
 * without referrers is written once, under its tag. What is in place is not written again.
 *
 * A failure or an abort stops all tasks, waits for them, and leaves the tag unchanged. A caller that stops reading
 * the events aborts the copy.
 *
 * @throws {TagferryError} IMAGE_TOO_LARGE, SOURCE_BROKEN, REFERRERS_INVALID, TARGET_*, and the errors of reading
 *   manifests
 */
export async function* copyImage(
  image: Pick<Descriptor, "digest">,
  source: ImageSource,
  target: ImageTarget,
  options: CopyOptions,
): AsyncGenerator<CopyEvent, CopySummary, void> {
  const group = openGroup(options.signal);
  const events = openEvents(group);
  const tally = openSummary();
  const { blobs = 4, manifests = 8 } = options.concurrency ?? {};
  const memory = options.memory ?? openCopyMemory();
  using cache = openManifestCache(source, { memory: memory.manifests, signal: group.signal });
  const work: Work = {
    source,
    target,
    lease: options.lease,
    memory,
    again: options.again,
    occasion: options.occasion,
    referrerTags: options.referrerTags ?? true,
    events,
    group,
    cache,
    limits: { reads: limit(manifests), images: limit(manifests), blobs: limit(blobs) },
    async emit(event) {
      tally.count(event);
      await events.put(event);
    },
  };
  const copying = copyWhole(image.digest, work, options)
    .then((counted) => tally.summary(counted))
    .finally(() => events.close());
  copying.catch(() => {}); // thrown below, after the earlier events
  try {
    yield* events;
    return await copying;
  } catch (error) {
    throw options.signal?.aborted ? options.signal.reason : error;
  } finally {
    group.stop(new DOMException("The caller stopped reading the events of this copy", "AbortError"));
    await copying.catch(() => {}); // thrown above, or the caller is gone
  }
}

/** Returns how many referrers were carried, and what is known of the image. */
async function copyWhole(
  digest: Digest,
  work: Work,
  options: CopyOptions,
): Promise<Pick<CopySummary, "referrers" | "image">> {
  const { target, group, limits, lease } = work;
  const { signal } = group;
  signal.throwIfAborted();
  // a second tag with the same image waits, and then finds the image in place
  using held = await lease.acquire(`${target.name}@${digest}`, { signal });
  const trust = options.again === undefined;
  const { platforms, maxBytes = Infinity } = options;
  const graph = await walk(digest, { ...work, reads: limits.reads, trust, platforms });
  refuseTooLarge(graph, maxBytes, work);
  if (!trust) target.forget([...graph.blobs.keys(), ...graph.nodes.keys()]);
  for (const descriptor of graph.foreign.values()) await work.emit({ kind: "foreign", descriptor });
  await work.emit(planned([graph]));
  const asks =
    trust && (target.capabilities.manifestImpliesContent || (await isTagInPlace(digest, work, options)));
  const pusher = openPusher(work, { trust, asks });
  const finding = options.referrers ? foundReferrers(graph, maxBytes, work) : Promise.resolve([]);
  const pushing = pusher.pushContent(graph.root);
  await group.all<unknown>([finding, pushing]);
  const [referrers, state] = [await finding, await pushing];
  const carried = await publish(graph, state, referrers, { pusher, work, ...options });
  const image = factsOf(graph);
  return { referrers: carried, ...(image ? { image } : {}) };
}

async function publish(
  { root }: Graph,
  state: "pushed" | "present",
  referrers: readonly FoundReferrer[],
  {
    pusher,
    work,
    tag,
    isTagMissing,
    assertStillOurs,
  }: Pick<CopyOptions, "tag" | "isTagMissing" | "assertStillOurs"> & {
    readonly pusher: Pusher;
    readonly work: Work;
  },
): Promise<number> {
  if (state === "present") await work.emit({ kind: "manifest", descriptor: root.descriptor, how: "present" });
  else if (tag === undefined || referrers.length > 0) await pusher.push(root);
  const carried = await pushReferrers(referrers, pusher, work);
  if (tag === undefined) return carried;
  await assertStillOurs?.();
  await pusher.push(root, { tag, isMissing: isTagMissing });
  return carried;
}

async function isTagInPlace(
  digest: Digest,
  { target, group: { signal } }: Work,
  { tag, isTagMissing = false }: CopyOptions,
): Promise<boolean> {
  if (tag === undefined || isTagMissing) return false;
  return (await target.resolve(tag, { signal }))?.digest === digest;
}

/** All manifests and blobs that were read, each once. */
function bytesOf({ nodes, blobs }: Graph): number {
  const manifests = nodes.values().map(({ descriptor }) => Math.max(0, descriptor.size));
  return [...manifests, ...blobs.values()].reduce((sum, size) => sum + size, 0);
}

/** undefined when parts were not read, because the target has them. */
function factsOf(graph: Graph): ImageFacts | undefined {
  if ([...graph.nodes.values()].some(({ whole }) => whole)) return undefined;
  return { bytes: bytesOf(graph), platforms: graph.platforms };
}

/** @throws {TagferryError} IMAGE_TOO_LARGE */
function refuseTooLarge(graph: Graph, maxBytes: number, { source }: Work): void {
  const { root } = graph;
  const bytes = bytesOf(graph);
  if (bytes <= maxBytes) return;
  const where = `${source.name}@${root.descriptor.digest}`;
  throw new TagferryError(
    "IMAGE_TOO_LARGE",
    `${where} has ${bytes} bytes, more than the ${maxBytes} that are allowed`,
    {
      where,
      found: bytes,
      allowed: maxBytes,
    },
  );
}

async function foundReferrers(graph: Graph, maxBytes: number, work: Work): Promise<readonly FoundReferrer[]> {
  const { referrers, notCarried } = await findReferrers(graph, work);
  if (notCarried.length > 0) {
    const types = notCarried.map(({ artifactType, mediaType }) => artifactType ?? mediaType);
    await work.emit({ kind: "notCarried", referrers: notCarried.length, artifactTypes: [...new Set(types)] });
  }
  for (const found of graphsOf(referrers)) refuseTooLarge(found, maxBytes, work);
  if (referrers.length > 0) await work.emit(planned([graph, ...graphsOf(referrers)]));
  return referrers;
}

function graphsOf(referrers: readonly FoundReferrer[]): Graph[] {
  return referrers.flatMap(({ graph, referrers: further }) => [graph, ...graphsOf(further)]);
}

function planned(graphs: readonly Graph[]): CopyEvent {
  const manifests = new Set(graphs.flatMap(({ nodes }) => [...nodes.keys()]));
  const blobs = new Map(graphs.flatMap((graph) => [...graph.blobs]));
  const bytes = blobs.values().reduce((sum, size) => sum + size, 0);
  return { kind: "planned", manifests: manifests.size, blobs: blobs.size, bytes };
}
