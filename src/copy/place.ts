import { isSyncError } from "../lib/error.ts";
import { type Limit, limit } from "../lib/limit.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { Manifest } from "../oci/manifest.ts";
import { OCI_EMPTY } from "../oci/media-type.ts";
import type { BlobPlaced } from "../oci/store.ts";
import { isAtTarget } from "./at-target.ts";
import { type BlobOptions, placeBlob } from "./blob.ts";
import type { CopyEvent } from "./events.ts";
import { type Graph, type Node, walk } from "./graph.ts";
import type { Group } from "./group.ts";
import type { Shelf } from "./shelf.ts";

/** What all parts of one copy share. */
export type Work = Omit<BlobOptions, "signal" | "trust"> & {
  readonly group: Group;
  readonly shelf: Shelf;
  readonly limits: { readonly reads: Limit; readonly images: Limit; readonly blobs: Limit };
  readonly tell: (event: CopyEvent) => Promise<void>;
};

export type Placement = {
  /**
   * Brings everything beneath a manifest in place: blobs, and children by their digests, each child after what it names.
   * `present`: the target has the manifest itself and is trusted to have the rest.
   */
  content(node: Node): Promise<"placed" | "present">;
  /**
   * Writes a manifest, under its tag or its digest. When the target turns out to have lost what it seemed to have,
   * everything beneath is looked at and sent anew, and the manifest is written once more.
   */
  push(node: Node, options?: { readonly tag?: string | undefined }): Promise<void>;
};

type PlacementOptions = {
  /** Whether presence may be concluded, and losses are healed. A healing placement does neither. */
  readonly trust: boolean;
};

/** Places the manifests of one image, and of what refers to it. Each blob and each manifest is handled once. */
export function openPlacement(work: Work, { trust }: PlacementOptions): Placement {
  const { target, group, shelf, limits, tell } = work;
  const { signal } = group;
  const trusted = trust && target.capabilities.manifestImpliesContent;
  const blobs = new Map<Digest, Promise<BlobPlaced>>();
  const children = new Map<Digest, Promise<void>>();

  function blob(descriptor: Descriptor, of: Digest): Promise<BlobPlaced> {
    const under = blobs.get(descriptor.digest);
    if (under) return under;
    const placing = limits.blobs(
      async () => {
        const placed = await placeBlob(descriptor, of, { ...work, signal, trust });
        await tell({ kind: "blob", descriptor, ...placed });
        return placed;
      },
      { signal },
    );
    blobs.set(descriptor.digest, placing);
    return placing;
  }

  /** The config goes first: it is as unique as its image, so only when it is there the image may be there too. */
  async function image({ descriptor: { digest } }: Node): Promise<"placed" | "present"> {
    const manifest = await shelf.take(digest);
    const { config } = manifest;
    if (trusted && config && config.mediaType !== OCI_EMPTY) {
      const [placed] = await group.all([blob(config, digest)]);
      if (placed?.how === "present" && (await isAtTarget(digest, target, { signal }))) {
        await implied(manifest);
        return "present";
      }
    }
    await group.all(distinct(manifest.blobs).map((one) => blob(one, digest)));
    return "placed";
  }

  /** Layers beneath a manifest that is there need no question. */
  async function implied(manifest: Manifest): Promise<void> {
    for (const descriptor of distinct(manifest.blobs)) {
      if (blobs.has(descriptor.digest)) continue;
      const placed: BlobPlaced = { how: "present", bytes: 0 };
      blobs.set(descriptor.digest, Promise.resolve(placed));
      await tell({ kind: "blob", descriptor, ...placed });
    }
  }

  async function child(node: Node): Promise<void> {
    const { descriptor } = node;
    if ((await content(node)) === "present") await tell({ kind: "manifest", descriptor, how: "present" });
    else await limits.images(() => push(node), { signal });
    shelf.drop(descriptor.digest);
  }

  function childOnce(node: Node): Promise<void> {
    const { digest } = node.descriptor;
    const placing = children.get(digest) ?? child(node);
    children.set(digest, placing);
    return placing;
  }

  async function content(node: Node): Promise<"placed" | "present"> {
    if (node.whole) return "present";
    if (node.kind === "image") return limits.images(() => image(node), { signal });
    await group.all(node.children.map(childOnce));
    return "placed";
  }

  async function push(node: Node, { tag }: { readonly tag?: string | undefined } = {}): Promise<void> {
    const { descriptor } = node;
    const manifest = await shelf.take(descriptor.digest);
    const write = (): Promise<void> => {
      signal.throwIfAborted();
      return target.pushManifest(manifest, { ...(tag === undefined ? {} : { tag }), signal });
    };
    try {
      await write();
    } catch (error) {
      if (!trust || !isSyncError(error, "TARGET_BLOB_UNKNOWN")) throw error;
      const digests = await heal(node, work);
      await write();
      await tell({ kind: "healed", digests });
    }
    await tell({ kind: "manifest", descriptor, ...(tag === undefined ? {} : { tag }), how: "pushed" });
  }

  return { content, push };
}

/**
 * Sends again what the target lost beneath `node`, and tells what that was. Nothing is concluded from what seems to be
 * there: the manifests are read and written anew, and the target forgets what it believes of every blob.
 */
async function heal(node: Node, work: Work): Promise<Digest[]> {
  const { source, target, group, shelf, limits } = work;
  const trust = false;
  const { root, nodes, blobs }: Graph = await walk(node.descriptor.digest, {
    source,
    target,
    group,
    shelf,
    reads: limits.reads,
    trust,
    platforms: node.platforms,
  });
  target.forget([...blobs.keys(), ...nodes.keys()]);
  const sent: Digest[] = [];
  const tell = async (event: CopyEvent): Promise<void> => {
    if ((event.kind === "blob" || event.kind === "manifest") && event.how !== "present")
      sent.push(event.descriptor.digest);
    await work.tell(event);
  };
  // one image at a time, apart from the others: who heals holds a place among those
  const apart = { ...limits, images: limit(1) };
  await openPlacement({ ...work, limits: apart, tell }, { trust }).content(root);
  return sent;
}

function distinct(descriptors: readonly Descriptor[]): Descriptor[] {
  return [...new Map(descriptors.map((descriptor) => [descriptor.digest, descriptor])).values()];
}
