import { TagferryError } from "../../src/errors/error.ts";
import type { Descriptor } from "../../src/oci/descriptor.ts";
import { type Digest, encodedOf, isDigest } from "../../src/oci/digest.ts";
import { type Manifest, parseManifest } from "../../src/oci/manifest.ts";
import type {
  BlobPushed,
  Content,
  OpenContent,
  ImageSource,
  ImageTarget,
  PushBlobOptions,
  Referrer,
  TargetCapabilities,
} from "../../src/oci/store.ts";
import { verified } from "../../src/oci/verified.ts";
import { allBlobs, allManifests } from "./images/images.ts";
import type { BuiltImage } from "./images/manifest.ts";

/** One question or one write, in the order in which they came. */
export type Call = {
  readonly operation:
    | "resolve"
    | "manifest"
    | "blob"
    | "referrers"
    | "listing"
    | "look"
    | "pushBlob"
    | "pushManifest"
    | "forget";
  /** Digest or tag. */
  readonly reference: string;
  readonly tag?: string | undefined;
};

export type MemoryOptions = {
  readonly name?: string;
  /** Stores with one pool are repositories of one registry: blobs can be mounted between them. */
  readonly pool?: Map<Digest, Uint8Array>;
  readonly capabilities?: Partial<TargetCapabilities>;
};

/**
 * A repository in memory with a ledger. It implements ImageSource and ImageTarget completely. Tests can damage its
 * content without a call.
 */
export type MemoryStore = ImageSource &
  ImageTarget & {
    readonly calls: readonly Call[];
    readonly tags: Map<string, Digest>;
    readonly blobs: Map<Digest, Uint8Array>;
    readonly manifests: Map<Digest, Manifest>;
    /** Runs before each call, which waits for it; what it throws, the call throws. */
    before(hook: (call: Call) => void | Promise<void>): void;
    /** The next reads of this blob bring these bytes instead, one after the other. */
    spoil(digest: Digest, ...contents: readonly Uint8Array[]): void;
    /** Puts an image there without a call. */
    seed(image: BuiltImage, tag?: string): void;
    /** Loses a blob or manifest silently: what clients believe about it does not change. */
    lose(digest: Digest): void;
    count(operation: Call["operation"], reference?: string): number;
    /** What is missing beneath a tag or digest. */
    missing(reference: string): Digest[];
    /** Forgets its calls. */
    clear(): void;
  };

const CAPABILITIES: TargetCapabilities = {
  sparseIndex: false,
  childrenVisible: true,
  referrers: "all",
  indexNeedsPlatforms: false,
  manifestImpliesContent: true,
};

type State = {
  readonly name: string;
  readonly capabilities: TargetCapabilities;
  readonly tags: Map<string, Digest>;
  readonly blobs: Map<Digest, Uint8Array>;
  readonly manifests: Map<Digest, Manifest>;
  readonly call: (call: Call, signal: AbortSignal | undefined) => Promise<void>;
};

export function memoryStore(options: MemoryOptions = {}): MemoryStore {
  const { name = "memory/repository", pool = new Map<Digest, Uint8Array>() } = options;
  const calls: Call[] = [];
  const hooks: ((call: Call) => void | Promise<void>)[] = [];
  const spoiled = new Map<Digest, Uint8Array[]>();
  const state: State = {
    name,
    capabilities: { ...CAPABILITIES, ...options.capabilities },
    tags: new Map(),
    blobs: new Map(),
    manifests: new Map(),
    async call(call, signal) {
      signal?.throwIfAborted();
      calls.push(call);
      await Promise.resolve(); // others get their turn, as with every request
      for (const hook of hooks) await hook(call);
      signal?.throwIfAborted();
    },
  };
  return {
    blobStore: name.split("/")[0] ?? name,
    async resolveTags(wanted, { signal } = {}) {
      await state.call({ operation: "resolve", reference: wanted.join(" ") }, signal);
      const known = wanted.map(
        (tag) => [tag, state.manifests.get(state.tags.get(tag) ?? "sha256:")] as const,
      );
      return new Map(known.flatMap(([tag, manifest]) => (manifest ? [[tag, manifest.descriptor]] : [])));
    },
    capabilities: state.capabilities,
    calls,
    tags: state.tags,
    blobs: state.blobs,
    manifests: state.manifests,
    ...reader(state, spoiled),
    ...writer(state, pool),
    before: (hook) => void hooks.push(hook),
    spoil: (digest, ...contents) => void spoiled.set(digest, [...contents]),
    seed(image, tag) {
      for (const [digest, bytes] of allBlobs(image)) {
        state.blobs.set(digest, bytes);
        pool.set(digest, bytes);
      }
      for (const { bytes, mediaType, digest } of allManifests(image))
        state.manifests.set(digest, parseManifest(bytes, { contentType: mediaType, expected: digest }));
      for (const tagged of taggedReferrers(image)) state.tags.set(tagged.tag, tagged.digest);
      if (tag !== undefined) state.tags.set(tag, image.manifest.digest);
    },
    lose(digest) {
      state.manifests.delete(digest);
      state.blobs.delete(digest);
      pool.delete(digest);
    },
    count: (operation, reference) =>
      calls.filter(
        (call) =>
          call.operation === operation &&
          (reference === undefined || call.reference === reference || call.tag === reference),
      ).length,
    missing: (reference) => missing(state, isDigest(reference) ? reference : state.tags.get(reference)),
    clear: () => void calls.splice(0),
  };
}

function taggedReferrers(built: BuiltImage): { readonly tag: string; readonly digest: Digest }[] {
  const below = built.children.flatMap(taggedReferrers);
  const own = built.referrers.flatMap(({ image, tag }) => [
    ...(tag === undefined ? [] : [{ tag, digest: image.manifest.digest }]),
    ...taggedReferrers(image),
  ]);
  return [...below, ...own];
}

function reader(state: State, spoiled: Map<Digest, Uint8Array[]>): ImageSource {
  const { name, tags, blobs, manifests, call, capabilities } = state;

  function find(reference: string): Manifest | undefined {
    const digest = isDigest(reference) ? reference : tags.get(reference);
    const manifest = digest && manifests.get(digest);
    if (!manifest || !isDigest(reference) || capabilities.childrenVisible) return manifest;
    const reachable = tags.values().some((root) => beneath(state, root).has(reference));
    return reachable ? manifest : undefined;
  }

  return {
    name,
    async resolve(reference, { signal } = {}) {
      await call({ operation: "resolve", reference }, signal);
      return find(reference)?.descriptor;
    },
    async manifest(reference, { signal } = {}) {
      await call({ operation: "manifest", reference }, signal);
      const manifest = find(reference);
      if (manifest) return manifest;
      throw new TagferryError("MANIFEST_UNKNOWN", `${name} has no ${reference}`);
    },
    async *blob({ digest }, { fromBytes = 0, signal } = {}) {
      await call({ operation: "blob", reference: digest }, signal);
      const bytes = spoiled.get(digest)?.shift() ?? blobs.get(digest);
      if (!bytes) throw new TagferryError("BLOB_UNKNOWN", `${name} has no ${digest}`);
      for (let at = fromBytes; at < bytes.length; at += 10_000) {
        signal?.throwIfAborted();
        yield bytes.subarray(at, at + 10_000);
      }
    },
    async *referrers(digest, { signal } = {}) {
      await call({ operation: "referrers", reference: digest }, signal);
      yield* referrersOf(state, digest);
    },
    async *listing({ signal } = {}) {
      await call({ operation: "listing", reference: "" }, signal);
      for (const tag of tags.keys()) yield { tag };
    },
  };
}

function referrersOf({ manifests, tags, capabilities }: State, digest: Digest): Referrer[] {
  const named = manifests.values().flatMap(({ descriptor, subject, annotations, config }) => {
    if (subject?.digest !== digest || capabilities.referrers === "tags") return [];
    const artifactType = descriptor.artifactType ?? config?.mediaType;
    return [{ descriptor: { ...descriptor, annotations, ...(artifactType ? { artifactType } : {}) } }];
  });
  const tagged = tags.entries().flatMap(([tag, to]) => {
    const manifest = manifests.get(to);
    return manifest && tag.startsWith(`sha256-${encodedOf(digest)}.`)
      ? [{ descriptor: manifest.descriptor, tag }]
      : [];
  });
  return [...named, ...tagged];
}

function writer(
  state: State,
  pool: Map<Digest, Uint8Array>,
): Pick<ImageTarget, "pushBlob" | "pushManifest" | "hasBlob" | "forget"> {
  const { name, blobs, manifests, tags, capabilities, call } = state;
  const believed = new Set<Digest>();

  async function upload(
    descriptor: Descriptor,
    open: OpenContent,
    { signal, onBytes }: PushBlobOptions,
  ): Promise<BlobPushed> {
    const { digest, size } = descriptor;
    await call({ operation: "pushBlob", reference: digest }, signal);
    const chunks: Buffer[] = [];
    for await (const chunk of untilAborted(verified(open(0), descriptor), signal)) {
      chunks.push(Buffer.from(chunk));
      onBytes?.(chunk.length);
    }
    const bytes = Buffer.concat(chunks);
    blobs.set(digest, bytes);
    pool.set(digest, bytes);
    return { how: "pushed", bytes: size };
  }

  return {
    async pushBlob(descriptor, open, options = {}) {
      const { digest } = descriptor;
      options.signal?.throwIfAborted();
      if (options.again) return upload(descriptor, open, options);
      if (believed.has(digest)) return { how: "present", bytes: 0 };
      await call({ operation: "look", reference: digest }, options.signal);
      const mountable = pool.get(digest);
      const placed: BlobPushed = blobs.has(digest)
        ? { how: "present", bytes: 0 }
        : mountable
          ? { how: "mounted", bytes: 0 }
          : await upload(descriptor, open, options);
      if (mountable) blobs.set(digest, mountable);
      believed.add(digest);
      return placed;
    },
    async pushManifest(manifest, { tag, signal } = {}) {
      const { descriptor } = manifest;
      await call({ operation: "pushManifest", reference: descriptor.digest, tag }, signal);
      if (capabilities.indexNeedsPlatforms && manifest.children.some(({ platform }) => !platform))
        throw new TagferryError("TARGET_REJECTED", `${name}: platform required`);
      const lacking = [
        ...manifest.blobs.filter(({ digest }) => !blobs.has(digest)),
        ...(capabilities.sparseIndex ? [] : manifest.children.filter(({ digest }) => !manifests.has(digest))),
      ];
      if (lacking.length > 0)
        throw new TagferryError("TARGET_BLOB_UNKNOWN", `${name} lacks ${lacking[0]?.digest}`);
      manifests.set(descriptor.digest, manifest);
      if (tag !== undefined) tags.set(tag, descriptor.digest);
    },
    async hasBlob({ digest, size }, { signal } = {}) {
      await call({ operation: "look", reference: digest }, signal);
      return blobs.get(digest)?.length === size;
    },
    forget(digests) {
      for (const digest of digests) believed.delete(digest);
    },
  };
}

/** Stops waiting for content when `signal` aborts. */
async function* untilAborted(content: Content, signal: AbortSignal | undefined): Content {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  aborted.catch(() => {});
  const onAbort = (): void => reject(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  const chunks = content[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await Promise.race([chunks.next(), aborted]);
      if (next.done) return;
      yield next.value;
    }
  } finally {
    signal?.removeEventListener("abort", onAbort);
    chunks.return?.()?.catch(() => {}); // a hanging source answers when it will
  }
}

/** Every digest a manifest leads to, itself included, as far as manifests are there. */
function beneath({ manifests }: State, root: Digest): Set<Digest> {
  const found = new Set<Digest>([root]);
  for (const digest of found) {
    const manifest = manifests.get(digest);
    for (const { digest: below } of [...(manifest?.children ?? []), ...(manifest?.blobs ?? [])])
      found.add(below);
  }
  return found;
}

function missing(state: State, root: Digest | undefined): Digest[] {
  if (root === undefined) throw new Error("no such tag");
  return [...beneath(state, root)].filter(
    (digest) => !state.manifests.has(digest) && !state.blobs.has(digest),
  );
}
