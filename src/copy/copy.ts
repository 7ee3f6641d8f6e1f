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
import { openPusher, type Pusher, type Work } from "./push.ts";
import { findReferrers, type FoundReferrer, pushReferrers } from "./referrers.ts";
import { type CopySummary, openSummary } from "./summary.ts";

export type CopyOptions = {
  /** Written last, when everything else is in place. Without: the image is there by its digest. */
  readonly tag?: string;
  /** Copies only these of an index, which stays as it is. Only where the target takes that. */
  readonly platforms?: readonly Platform[];
  /** Signatures, SBOMs and attestations travel along. */
  readonly referrers: boolean;
  readonly lease: Lease;
  /** Of this one image. Default: 4 blobs, 8 manifests. */
  readonly concurrency?: { readonly blobs?: number; readonly manifests?: number };
  readonly signal?: AbortSignal | undefined;
  /** Asked right before the tag is written; what it throws keeps the tag as it was. */
  readonly assertStillOurs?: (() => Promise<void>) | undefined;
};

/**
 * Copies one image, known by its digest, with everything it names and (if asked) everything that refers to it.
 *
 * The order is the same for every target: manifests are read and judged; blobs; children by digest; then, where something
 * refers to the image, the image by digest and its referrers; the tag last. So whoever sees the tag sees a whole image with
 * its signatures, and a registry that wants a referrer's subject first has it. (OpenShift's registry shows nothing that only
 * a digest names, but takes it.) Without referrers the image is written once, by its tag.
 *
 * A failure or an abort stops everything, waits for what is under way, and leaves the tag as it was. To stop reading the
 * events is an abort too.
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
  const work: Work = {
    source,
    target,
    lease: options.lease,
    events,
    group,
    cache: openManifestCache(source, group),
    limits: { reads: limit(manifests), images: limit(manifests), blobs: limit(blobs) },
    async emit(event) {
      tally.count(event);
      await events.put(event);
    },
  };
  const copying = copyWhole(image.digest, work, options)
    .then((referrers) => tally.summary({ referrers }))
    .finally(() => events.close());
  copying.catch(() => {}); // thrown below, after the events that came before
  try {
    yield* events;
    return await copying;
  } catch (error) {
    throw options.signal?.aborted ? options.signal.reason : error;
  } finally {
    group.stop(new DOMException("Nobody reads the events of this copy any more", "AbortError"));
    await copying.catch(() => {}); // thrown above, or nobody is left to hear it
  }
}

/** Tells how many referrers were carried. */
async function copyWhole(digest: Digest, work: Work, options: CopyOptions): Promise<number> {
  const { target, group, limits, lease } = work;
  const { signal } = group;
  signal.throwIfAborted();
  // A second tag of the same image waits, and then finds it there.
  using held = await lease.acquire(`${target.name}@${digest}`, { signal });
  const graph = await walk(digest, {
    ...work,
    reads: limits.reads,
    trust: true,
    platforms: options.platforms,
  });
  for (const descriptor of graph.foreign.values()) await work.emit({ kind: "foreign", descriptor });
  await work.emit(planned([graph]));
  const pusher = openPusher(work, { trust: true });
  const finding = options.referrers ? foundReferrers(graph, work) : Promise.resolve([]);
  const pushing = pusher.pushContent(graph.root);
  await group.all<unknown>([finding, pushing]);
  const [referrers, state] = [await finding, await pushing];
  return publish(graph, state, referrers, { pusher, work, ...options });
}

async function publish(
  { root }: Graph,
  state: "pushed" | "present",
  referrers: readonly FoundReferrer[],
  {
    pusher,
    work,
    tag,
    assertStillOurs,
  }: Pick<CopyOptions, "tag" | "assertStillOurs"> & { readonly pusher: Pusher; readonly work: Work },
): Promise<number> {
  if (state === "present") await work.emit({ kind: "manifest", descriptor: root.descriptor, how: "present" });
  else if (tag === undefined || referrers.length > 0) await pusher.push(root);
  const carried = await pushReferrers(referrers, pusher, work);
  if (tag === undefined) return carried;
  await assertStillOurs?.();
  await pusher.push(root, { tag });
  return carried;
}

async function foundReferrers(graph: Graph, work: Work): Promise<readonly FoundReferrer[]> {
  const { referrers, notCarried } = await findReferrers(graph, work);
  if (notCarried.length > 0) {
    const types = notCarried.map(({ artifactType, mediaType }) => artifactType ?? mediaType);
    await work.emit({ kind: "notCarried", referrers: notCarried.length, artifactTypes: [...new Set(types)] });
  }
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
