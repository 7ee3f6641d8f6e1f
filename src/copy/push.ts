import { isTagferryError } from "../errors/error.ts";
import { type Limit, limit } from "../lib/limit.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { Manifest } from "../oci/manifest.ts";
import { OCI_EMPTY } from "../oci/media-type.ts";
import type { BlobPushed } from "../oci/store.ts";
import { isAtTarget, readAtTarget } from "./at-target.ts";
import { type BlobOptions, copyBlob } from "./blob.ts";
import type { CopyEvent } from "./events.ts";
import { type Graph, type Node, walk } from "./graph.ts";
import type { Group } from "./group.ts";
import type { ManifestCache } from "./manifest-cache.ts";

/** What all parts of one copy share. */
export type Work = Omit<BlobOptions, "signal" | "trust"> & {
  readonly occasion: string | undefined;
  readonly referrerTags: boolean;
  readonly group: Group;
  readonly cache: ManifestCache;
  readonly limits: { readonly reads: Limit; readonly images: Limit; readonly blobs: Limit };
  readonly emit: (event: CopyEvent) => Promise<void>;
};

export type Pusher = {
  /**
   * Pushes everything that a manifest names: blobs, and children by digest, each after its own content. `present`:
   * the target has the manifest itself, and this proves that it has the rest.
   */
  pushContent(node: Node): Promise<"pushed" | "present">;
  /**
   * Writes a manifest, under its tag or its digest. When the target answers that content is missing which it seemed
   * to have, everything beneath the manifest is checked and sent again, and the manifest is written once more.
   *
   * Nothing is written when nothing beneath was sent and the reference already points to this manifest.
   */
  push(node: Node, options?: PushOptions): Promise<void>;
};

export type PushOptions = {
  readonly tag?: string | undefined;
  /** `true`: it must be written, and the target is not asked. `false`: it may be there, and the target is asked. */
  readonly isMissing?: boolean | undefined;
};

type PusherOptions = {
  /** Whether a manifest may prove its content, and missing content is healed. `false` while an image is healed. */
  readonly trust: boolean;
  /**
   * Whether the target is asked for a manifest before the manifest is written. Where a manifest does not prove its
   * content, this is worth a request only when the tag already points to the image. Also, OpenShift's registry
   * answers 500 for a digest while the stream does not exist.
   */
  readonly asks: boolean;
};

/** Pushes the manifests of one image and of its referrers. Each blob and each manifest is handled once. */
export function openPusher(work: Work, { trust, asks }: PusherOptions): Pusher {
  const { target, group, cache, limits, emit } = work;
  const { signal } = group;
  const trusted = trust && target.capabilities.manifestImpliesContent;
  const blobs = new Map<Digest, Promise<BlobPushed>>();
  const children = new Map<Digest, Promise<void>>();
  /** Manifests beneath which something was sent or mounted. They are written without asking the target. */
  const changed = new Set<Digest>();

  function blob(descriptor: Descriptor, of: Digest): Promise<BlobPushed> {
    const under = blobs.get(descriptor.digest);
    if (under) return under;
    const pushing = limits.blobs(
      async () => {
        const pushed = await copyBlob(descriptor, of, { ...work, signal, trust });
        await emit({ kind: "blob", descriptor, ...pushed });
        return pushed;
      },
      { signal },
    );
    blobs.set(descriptor.digest, pushing);
    return pushing;
  }

  /** The config is pushed first. Every image has its own config, so without the config the image cannot be there. */
  async function image({ descriptor: { digest } }: Node): Promise<"pushed" | "present"> {
    const manifest = await cache.get(digest);
    const { config } = manifest;
    const isUnique = config !== undefined && config.mediaType !== OCI_EMPTY;
    if (trusted && isUnique) {
      const [pushed] = await group.all([blob(config, digest)]);
      if (pushed?.how === "present" && (await isAtTarget(digest, target, { signal }))) {
        await implied(manifest);
        return "present";
      }
    }
    const pushed = await group.all(distinct(manifest.blobs).map((one) => blob(one, digest)));
    if (pushed.some(({ how }) => how !== "present")) changed.add(digest);
    // an artifact: its parts may belong to others too, so that only now it is worth asking
    else if (trusted && !isUnique && (await isAtTarget(digest, target, { signal }))) return "present";
    return "pushed";
  }

  /** Reports the layers of a manifest that is in place. The target is not asked for them. */
  async function implied(manifest: Manifest): Promise<void> {
    for (const descriptor of distinct(manifest.blobs)) {
      if (blobs.has(descriptor.digest)) continue;
      const pushed: BlobPushed = { how: "present", bytes: 0 };
      blobs.set(descriptor.digest, Promise.resolve(pushed));
      await emit({ kind: "blob", descriptor, ...pushed });
    }
  }

  async function child(node: Node): Promise<void> {
    const { descriptor } = node;
    if ((await pushContent(node)) === "present") await emit({ kind: "manifest", descriptor, how: "present" });
    else await limits.images(() => push(node), { signal });
    cache.delete(descriptor.digest);
  }

  function childOnce(node: Node): Promise<void> {
    const { digest } = node.descriptor;
    const pushing = children.get(digest) ?? child(node);
    children.set(digest, pushing);
    return pushing;
  }

  async function pushContent(node: Node): Promise<"pushed" | "present"> {
    if (node.whole) return "present";
    if (node.kind === "image") return limits.images(() => image(node), { signal });
    await group.all(node.children.map(childOnce));
    if (node.children.some(({ descriptor }) => changed.has(descriptor.digest)))
      changed.add(node.descriptor.digest);
    return "pushed";
  }

  /**
   * Whether the reference points to this manifest. The manifest is read when the target may answer for another
   * registry, or when its files may be altered.
   */
  async function isWritten({ digest }: Descriptor, tag: string | undefined): Promise<boolean> {
    const found = await target.resolve(tag ?? digest, { signal });
    if (found?.digest !== digest) return false;
    return trusted || (await readAtTarget(digest, target, { signal })) !== undefined;
  }

  async function push(node: Node, { tag, isMissing }: PushOptions = {}): Promise<void> {
    const { descriptor } = node;
    // where a manifest proves its content, `image` has already asked for the child
    const mayBeThere = isMissing === undefined ? tag !== undefined || !trusted : !isMissing;
    const isAsked = asks && mayBeThere && !changed.has(descriptor.digest);
    if (isAsked && (await isWritten(descriptor, tag))) {
      await emit({ kind: "manifest", descriptor, ...(tag === undefined ? {} : { tag }), how: "present" });
      return;
    }
    changed.add(descriptor.digest);
    const manifest = await cache.get(descriptor.digest);
    const write = (): Promise<void> => {
      signal.throwIfAborted();
      return target.pushManifest(manifest, { ...(tag === undefined ? {} : { tag }), signal });
    };
    try {
      await write();
    } catch (error) {
      if (!trust || !isTagferryError(error, "TARGET_BLOB_UNKNOWN")) throw error;
      const digests = await heal(node, work);
      await write();
      await emit({ kind: "healed", digests });
    }
    await emit({ kind: "manifest", descriptor, ...(tag === undefined ? {} : { tag }), how: "pushed" });
  }

  return { pushContent, push };
}

/**
 * Sends again what is missing at the target beneath `node`, and returns the digests of it. Nothing is concluded from
 * what seems to be there: the manifests are read and written again, and the target forgets what it knows about every
 * blob.
 */
async function heal(node: Node, work: Work): Promise<Digest[]> {
  const { source, target, group, cache, limits } = work;
  const trust = false;
  const { root, nodes, blobs }: Graph = await walk(node.descriptor.digest, {
    source,
    target,
    group,
    cache,
    reads: limits.reads,
    trust,
    platforms: node.platforms,
  });
  target.forget([...blobs.keys(), ...nodes.keys()]);
  const sent: Digest[] = [];
  const emit = async (event: CopyEvent): Promise<void> => {
    if ((event.kind === "blob" || event.kind === "manifest") && event.how !== "present")
      sent.push(event.descriptor.digest);
    await work.emit(event);
  };
  // a limit of its own, because the caller holds a slot of `limits.images`
  const apart = { ...limits, images: limit(1) };
  await openPusher({ ...work, limits: apart, emit }, { trust, asks: false }).pushContent(root);
  return sent;
}

function distinct(descriptors: readonly Descriptor[]): Descriptor[] {
  return [...new Map(descriptors.map((descriptor) => [descriptor.digest, descriptor])).values()];
}
