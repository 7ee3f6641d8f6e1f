import { isTagferryError, TagferryError } from "../errors/error.ts";
import type { Limit } from "../lib/limit.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import { attestedDigest, type Manifest } from "../oci/manifest.ts";
import { isIndexType } from "../oci/media-type.ts";
import { matchesPlatform, type Platform, formatPlatform } from "../oci/platform.ts";
import type { ImageSource, ImageTarget } from "../oci/store.ts";
import { isAtTarget } from "./at-target.ts";
import type { Group } from "./group.ts";
import type { ManifestCache } from "./manifest-cache.ts";
import { onceMore } from "./once-more.ts";
import { choosePlatforms, configPlatform, platformAbsent, platformsOf } from "./platforms.ts";

/** One manifest of an image, with its children that are to be copied. */
export type Node = {
  /** The mediaType, digest and size of the manifest itself. */
  readonly descriptor: Descriptor;
  readonly kind: "index" | "image";
  readonly children: readonly Node[];
  /** The target has the manifest with everything beneath it. What is beneath it was not read. */
  readonly whole: boolean;
  /** The wanted platforms, when `children` has only some of the entries of the index. */
  readonly platforms?: readonly Platform[] | undefined;
  /** An attestation of BuildKit, which is in the same index as its image. */
  readonly attestation: boolean;
};

/** An image and all manifests beneath it. Each manifest is in it once. */
export type Graph = {
  readonly root: Node;
  readonly nodes: ReadonlyMap<Digest, Node>;
  /** The sizes of all blobs that its images name, without foreign layers. */
  readonly blobs: ReadonlyMap<Digest, number>;
  readonly foreign: ReadonlyMap<Digest, Descriptor>;
  /** Images that were not read, because the target has the index that lists them. They can have referrers too. */
  readonly unread: ReadonlySet<Digest>;
  /** Of the images that its indexes list, each once; none for a single image. */
  readonly platforms: readonly string[];
};

export type WalkOptions = {
  readonly source: ImageSource;
  readonly target: ImageTarget;
  readonly group: Group;
  /** Limits how many manifests are read at once. */
  readonly reads: Limit;
  readonly cache: ManifestCache;
  /** Whether a manifest at the target proves what it names. Applies only where `manifestImpliesContent` is true. */
  readonly trust: boolean;
  readonly platforms?: readonly Platform[] | undefined;
};

const DEPTH_MAX = 8;
const MANIFESTS_MAX = 10_000;
const BLOBS_MAX = 100_000;

/** A position in the graph: the indexes above it, and what applies there. */
type Position = {
  readonly path: readonly Digest[];
  readonly platforms: readonly Platform[] | undefined;
  /** Asks the target for the manifest before it is read from the source. */
  readonly ask: boolean;
};

/**
 * Reads every manifest of an image before any blob is copied. An image that cannot be copied is refused here.
 *
 * Content that the target has is left out where its manifest proves it. This needs a target that does not answer for
 * other registries (`manifestImpliesContent`). For an index, it also needs a target that refuses an index whose
 * children are missing (not `sparseIndex`).
 *
 * The target is asked for every index by one HEAD. The index is read from the source in any case, because its
 * children can have referrers. The target is asked for an image here only when the target has the index above it and
 * that index may be sparse. For all other images it is asked when their config is in place (`push.ts`), so new images
 * need no such request.
 *
 * @throws {TagferryError} MANIFEST_UNKNOWN, SOURCE_BROKEN, INDEX_LOOP, INDEX_PLATFORM, MANIFEST_FANOUT,
 *   PLATFORM_ABSENT, CONFIG_PLATFORM and the errors of `parseManifest`
 */
export async function walk(digest: Digest, options: WalkOptions): Promise<Graph> {
  const { source, target, group, reads, cache, trust } = options;
  const { signal } = group;
  const { sparseIndex, manifestImpliesContent, indexNeedsPlatforms } = target.capabilities;
  const visits = new Map<Digest, Promise<Node | undefined>>();
  const nodes = new Map<Digest, Node>();
  const blobs = new Map<Digest, number>();
  const foreign = new Map<Digest, Descriptor>();
  const unread = new Set<Digest>();
  const platformsFound: string[] = [];
  const platformsCopied = new Set<string>();

  const has = (manifest: Digest): Promise<boolean> =>
    trust && manifestImpliesContent
      ? reads(() => isAtTarget(manifest, target, { signal }), { signal })
      : Promise.resolve(false);

  async function read(manifest: Digest, parent: Digest | undefined): Promise<Manifest> {
    try {
      return await reads(() => onceMore(() => source.manifest(manifest, { signal })), { signal });
    } catch (error) {
      if (parent === undefined || !isTagferryError(error, "MANIFEST_UNKNOWN")) throw error;
      throw new TagferryError("SOURCE_BROKEN", `${source.name} does not have the manifest ${manifest}`, {
        cause: error,
        where: `${source.name}@${parent}`,
        found: `no ${manifest}`,
      });
    }
  }

  function visit(child: Pick<Descriptor, "digest">, position: Position): Promise<Node | undefined> {
    if (position.path.length > DEPTH_MAX || position.path.includes(child.digest))
      throw new TagferryError(
        "INDEX_LOOP",
        `${source.name}@${digest} is nested deeper than ${DEPTH_MAX} levels`,
        {
          where: `${source.name}@${child.digest}`,
          allowed: DEPTH_MAX,
        },
      );
    const visited = visits.get(child.digest);
    if (visited) return visited;
    if (visits.size >= MANIFESTS_MAX) throw tooMany("manifests", MANIFESTS_MAX);
    const visiting = look(child, position).then((node) => {
      if (node) nodes.set(child.digest, node);
      return node;
    });
    visits.set(child.digest, visiting);
    return visiting;
  }

  async function look(child: Pick<Descriptor, "digest">, position: Position): Promise<Node | undefined> {
    const descriptor = "mediaType" in child ? (child as Descriptor) : undefined;
    const attestation = descriptor !== undefined && attestedDigest(descriptor) !== undefined;
    const listed = descriptor !== undefined && position.path.length > 0;
    const isIndex = listed && isIndexType(descriptor.mediaType);
    // an index is always read, because its children can have referrers
    const asked = listed && !isIndex && position.ask ? await has(child.digest) : undefined;
    if (listed && asked) return { descriptor, kind: "image", children: [], whole: true, attestation };
    const manifest = await read(child.digest, position.path.at(-1));
    if (manifest.kind === "image") {
      noteBlobs(manifest);
      cache.set(manifest);
      return { descriptor: manifest.descriptor, kind: "image", children: [], whole: false, attestation };
    }
    return lookIntoIndex(manifest, position, { attestation, there: asked });
  }

  async function lookIntoIndex(
    manifest: Manifest,
    { path, platforms }: Position,
    { attestation, there }: { readonly attestation: boolean; readonly there: boolean | undefined },
  ): Promise<Node | undefined> {
    if (indexNeedsPlatforms) refuseWithoutPlatforms(manifest, source.name);
    platformsFound.push(...platformsOf(manifest));
    const { chosen, open } = platforms
      ? choosePlatforms(manifest, platforms)
      : { chosen: manifest.children, open: [] };
    for (const platform of platformsOf({ children: chosen })) platformsCopied.add(platform);
    if (platforms && chosen.length + open.length === 0) return undefined;
    if (chosen.length + open.length < manifest.children.length && !sparseIndex)
      throw cannotChoose(manifest, options);
    const present = there ?? (await has(manifest.descriptor.digest));
    cache.set(manifest);
    const node = { descriptor: manifest.descriptor, kind: "index", attestation, platforms } as const;
    if (present && !sparseIndex)
      return { ...node, children: await lookForSubjects([...chosen, ...open], manifest, path), whole: true };
    const below = { path: [...path, manifest.descriptor.digest], ask: present };
    const children = await group.all([
      ...chosen.map(async (child) => visit(child, { ...below, platforms: undefined })),
      ...open.map(async (child) => visit(child, { ...below, platforms })),
    ]);
    const copied = children.filter((child) => child !== undefined);
    if (platforms && copied.length === 0) return undefined;
    if (copied.length < manifest.children.length && !sparseIndex) throw cannotChoose(manifest, options);
    return { ...node, children: [...new Set(copied)], whole: false };
  }

  /** Beneath an index that the target has, nested indexes are read, and images are only noted. */
  async function lookForSubjects(
    listed: readonly Descriptor[],
    { descriptor }: Manifest,
    path: readonly Digest[],
  ): Promise<readonly Node[]> {
    const indexes = listed.filter(({ mediaType }) => isIndexType(mediaType));
    for (const child of listed)
      if (!isIndexType(child.mediaType) && attestedDigest(child) === undefined) unread.add(child.digest);
    const below = { path: [...path, descriptor.digest], ask: true, platforms: undefined };
    const found = await group.all(indexes.map(async (child) => visit(child, below)));
    return [...new Set(found.filter((child) => child !== undefined))];
  }

  function noteBlobs(manifest: Manifest): void {
    for (const blob of manifest.blobs) blobs.set(blob.digest, blob.size);
    for (const blob of manifest.foreign) foreign.set(blob.digest, blob);
    if (blobs.size > BLOBS_MAX) throw tooMany("blobs", BLOBS_MAX);
  }

  const tooMany = (what: string, allowed: number): TagferryError =>
    new TagferryError("MANIFEST_FANOUT", `${source.name}@${digest} has more than ${allowed} ${what}`, {
      allowed,
    });

  const { platforms } = options;
  const root = await visit({ digest }, { path: [], platforms, ask: false });
  if (platforms && root?.kind === "image") await requirePlatform(root, platforms, options);
  if (!root) throw platformAbsent(`${source.name}@${digest}`, platforms ?? [], platformsFound);
  return { root, nodes, blobs, foreign, unread, platforms: [...platformsCopied] };
}

/** @throws {TagferryError} INDEX_PLATFORM */
function refuseWithoutPlatforms({ children, descriptor }: Manifest, sourceName: string): void {
  const without = children.filter(({ platform }) => platform === undefined);
  const [first] = without;
  if (!first) return;
  throw new TagferryError(
    "INDEX_PLATFORM",
    `${without.length} of ${children.length} entries of the index ${descriptor.digest} have no platform`,
    { where: `${sourceName}@${descriptor.digest}`, found: `${first.mediaType} ${first.digest}` },
  );
}

/** @throws {TagferryError} PLATFORM_ABSENT */
async function requirePlatform(
  { descriptor }: Node,
  wanted: readonly Platform[],
  { source, cache, group }: WalkOptions,
): Promise<void> {
  const platform = await configPlatform(await cache.get(descriptor.digest), source, group);
  if (!platform || wanted.some((one) => matchesPlatform(one, platform))) return;
  throw platformAbsent(`${source.name}@${descriptor.digest}`, wanted, [formatPlatform(platform)]);
}

function cannotChoose(
  { descriptor }: Manifest,
  { source, target, platforms = [] }: WalkOptions,
): TagferryError {
  return new TagferryError(
    "CONFIG_PLATFORM",
    `${target.name} does not accept an index with only some of its platforms (${platforms.map(formatPlatform).join(", ")})`,
    {
      where: `${source.name}@${descriptor.digest}`,
      found: platforms.map(formatPlatform).join(", "),
      allowed: "all platforms of the index",
      next: "Leave `platforms` out for this target, or copy into an image stream or an oci: layout.",
    },
  );
}
