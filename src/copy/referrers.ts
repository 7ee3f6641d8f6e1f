import { isTagferryError, TagferryError } from "../errors/error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { Referrer } from "../oci/store.ts";
import { type Graph, walk } from "./graph.ts";
import type { Pusher, Work } from "./push.ts";

/** What refers to an image and is to be copied, and what refers to that. */
export type FoundReferrer = {
  readonly graph: Graph;
  /** It is reached by this tag (cosign), and has to be written under it. */
  readonly tag?: string;
  readonly referrers: readonly FoundReferrer[];
};

export type FoundReferrers = {
  readonly referrers: readonly FoundReferrer[];
  /** What stays behind. */
  readonly notCarried: readonly Descriptor[];
};

const DEPTH_MAX = 8;
const REFERRERS_MAX = 10_000;

/**
 * Finds signatures, SBOMs and attestations of an image and of every manifest beneath it, and what refers to those.
 *
 * BuildKit's attestations are children of their index and are not asked for referrers. A referrer that is listed and gone
 * at the source (fallback tags go stale when signatures are deleted) stays behind, and is told; one that lacks a part fails.
 *
 * @throws {TagferryError} SOURCE_BROKEN and what reading referrers and manifests throws
 */
export async function findReferrers(image: Graph, work: Work): Promise<FoundReferrers> {
  const { source, target, group, limits, cache } = work;
  const { signal } = group;
  const seen = new Set<string>();
  const notCarried: Descriptor[] = [];

  async function of(subjects: readonly Digest[], depth: number): Promise<FoundReferrer[]> {
    const found = await group.all(subjects.map((subject) => limits.reads(() => list(subject), { signal })));
    const fresh = found.flat();
    if (depth > DEPTH_MAX) {
      notCarried.push(...fresh.map(({ descriptor }) => descriptor));
      return [];
    }
    const read = await group.all(fresh.map((referrer) => look(referrer, depth)));
    return read.filter((referrer) => referrer !== undefined);
  }

  async function list(subject: Digest): Promise<Referrer[]> {
    const fresh: Referrer[] = [];
    for await (const referrer of source.referrers(subject, { signal })) {
      const { descriptor, tag } = referrer;
      const key = `${descriptor.digest} ${tag ?? ""}`;
      if (seen.has(key) || image.nodes.has(descriptor.digest)) continue;
      if (seen.size >= REFERRERS_MAX)
        throw new TagferryError(
          "MANIFEST_FANOUT",
          `${source.name} lists more than ${REFERRERS_MAX} referrers`,
          {
            where: `${source.name}@${subject}`,
            allowed: REFERRERS_MAX,
          },
        );
      seen.add(key);
      if (tag === undefined && target.capabilities.referrers === "tags") notCarried.push(descriptor);
      else fresh.push(referrer);
    }
    return fresh;
  }

  async function look({ descriptor, tag }: Referrer, depth: number): Promise<FoundReferrer | undefined> {
    try {
      // no trust: its manifest may be at the target and not be registered with its subject
      const graph = await walk(descriptor.digest, { ...work, reads: limits.reads, cache, trust: false });
      const referrers = await of([descriptor.digest], depth + 1);
      return { graph, ...(tag === undefined ? {} : { tag }), referrers };
    } catch (error) {
      if (!isTagferryError(error, "MANIFEST_UNKNOWN", "INDEX_PLATFORM")) throw error;
      notCarried.push(descriptor);
      return undefined;
    }
  }

  const subjects = [...image.nodes.values()].filter(({ attestation }) => !attestation);
  const referrers = await of(
    subjects.map(({ descriptor }) => descriptor.digest),
    1,
  );
  return { referrers, notCarried };
}

/** Writes referrers after their subjects, each after what it names; tells how many were carried. */
export async function pushReferrers(
  referrers: readonly FoundReferrer[],
  pusher: Pusher,
  work: Work,
): Promise<number> {
  const carried = await work.group.all(
    referrers.map(async ({ graph, tag, referrers: further }) => {
      await pusher.pushContent(graph.root);
      await pusher.push(graph.root, { tag });
      work.cache.delete(graph.root.descriptor.digest);
      return 1 + (await pushReferrers(further, pusher, work));
    }),
  );
  return carried.reduce((sum, count) => sum + count, 0);
}
