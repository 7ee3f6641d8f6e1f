import { isTagferryError } from "../errors/error.ts";
import { type Limit, limit } from "../lib/limit.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { Manifest } from "../oci/manifest.ts";
import { OCI_EMPTY } from "../oci/media-type.ts";
import type { BlobPushed } from "../oci/store.ts";
import { isAtTarget } from "./at-target.ts";
import { type BlobOptions, pushBlob } from "./blob.ts";
import type { CopyEvent } from "./events.ts";
import { type Graph, type Node, walk } from "./graph.ts";
import type { Group } from "./group.ts";
import type { ManifestCache } from "./manifest-cache.ts";

/** What all parts of one copy share. */
export type Work = Omit<BlobOptions, "signal" | "trust"> & {
  readonly group: Group;
  readonly cache: ManifestCache;
  readonly limits: { readonly reads: Limit; readonly images: Limit; readonly blobs: Limit };
  readonly emit: (event: CopyEvent) => Promise<void>;
};

export type Pusher = {
  /**
   * Brings everything beneath a manifest in place: blobs, and children by their digests, each child after what it names.
   * `present`: the target has the manifest itself and is trusted to have the rest.
   */
  pushContent(node: Node): Promise<"pushed" | "present">;
  /**
   * Writes a manifest, under its tag or its digest. When the target turns out to have lost what it seemed to have,
   * everything beneath is looked at and sent anew, and the manifest is written once more.
   */
  push(node: Node, options?: { readonly tag?: string | undefined }): Promise<void>;
};

type PusherOptions = {
  /** Whether presence may be concluded, and losses are healed. A healing pusher does neither. */
  readonly trust: boolean;
};

/** Places the manifests of one image, and of what refers to it. Each blob and each manifest is handled once. */
export function openPusher(work: Work, { trust }: PusherOptions): Pusher {
  const { target, group, cache, limits, emit } = work;
  const { signal } = group;
  const trusted = trust && target.capabilities.manifestImpliesContent;
  const blobs = new Map<Digest, Promise<BlobPushed>>();
  const children = new Map<Digest, Promise<void>>();

  function blob(descriptor: Descriptor, of: Digest): Promise<BlobPushed> {
    const under = blobs.get(descriptor.digest);
    if (under) return under;
    const pushing = limits.blobs(
      async () => {
        const pushed = await pushBlob(descriptor, of, { ...work, signal, trust });
        await emit({ kind: "blob", descriptor, ...pushed });
        return pushed;
      },
      { signal },
    );
    blobs.set(descriptor.digest, pushing);
    return pushing;
  }

  /** The config goes first: it is as unique as its image, so only when it is there the image may be there too. */
  async function image({ descriptor: { digest } }: Node): Promise<"pushed" | "present"> {
    const manifest = await cache.get(digest);
    const { config } = manifest;
    if (trusted && config && config.mediaType !== OCI_EMPTY) {
      const [pushed] = await group.all([blob(config, digest)]);
      if (pushed?.how === "present" && (await isAtTarget(digest, target, { signal }))) {
        await implied(manifest);
        return "present";
      }
    }
    await group.all(distinct(manifest.blobs).map((one) => blob(one, digest)));
    return "pushed";
  }

  /** Layers beneath a manifest that is there need no question. */
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
    return "pushed";
  }

  async function push(node: Node, { tag }: { readonly tag?: string | undefined } = {}): Promise<void> {
    const { descriptor } = node;
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
 * Sends again what the target lost beneath `node`, and tells what that was. Nothing is concluded from what seems to be
 * there: the manifests are read and written anew, and the target forgets what it believes of every blob.
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
  // one image at a time, apart from the others: who heals holds a place among those
  const apart = { ...limits, images: limit(1) };
  await openPusher({ ...work, limits: apart, emit }, { trust }).pushContent(root);
  return sent;
}

function distinct(descriptors: readonly Descriptor[]): Descriptor[] {
  return [...new Map(descriptors.map((descriptor) => [descriptor.digest, descriptor])).values()];
}
