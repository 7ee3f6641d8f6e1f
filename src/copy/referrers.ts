import { isTagferryError, TagferryError } from "../errors/error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { Referrer } from "../oci/store.ts";
import { type Graph, walk } from "./graph.ts";
import type { Pusher, Work } from "./push.ts";

/** A referrer to be copied, with its own referrers. */
export type FoundReferrer = {
  readonly subject: Digest;
  readonly graph: Graph;
  /** Clients find it by this tag (cosign), so it is written under it. */
  readonly tag?: string;
  readonly referrers: readonly FoundReferrer[];
};

export type FoundReferrers = {
  readonly referrers: readonly FoundReferrer[];
  /** Referrers that are not copied. */
  readonly notCarried: readonly Descriptor[];
};

type Listed = Referrer & { readonly subject: Digest };

/** How far referrers of referrers are followed. */
export const DEPTH_MAX = 8;
const REFERRERS_MAX = 10_000;

/**
 * Finds the signatures, SBOMs and attestations of an image and of every manifest beneath it, and the referrers of
 * those.
 *
 * BuildKit's attestations are children of their index; their referrers are not requested. A referrer that the source
 * lists but no longer has is reported as not carried, because a fallback tag keeps the entries of deleted signatures.
 * A referrer without one of its parts is an error.
 *
 * @throws {TagferryError} SOURCE_BROKEN and the errors of reading referrers and manifests
 */
export async function findReferrers(image: Graph, work: Work): Promise<FoundReferrers> {
  const { source, target, group, limits, cache, occasion } = work;
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

  async function list(subject: Digest): Promise<Listed[]> {
    const fresh: Listed[] = [];
    for await (const referrer of source.referrers(subject, { signal, occasion })) {
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
      else fresh.push({ ...referrer, subject });
    }
    return fresh;
  }

  async function look(
    { subject, descriptor, tag }: Listed,
    depth: number,
  ): Promise<FoundReferrer | undefined> {
    try {
      // not trusted: the target may have its manifest without listing it with its subject
      const graph = await walk(descriptor.digest, { ...work, reads: limits.reads, cache, trust: false });
      const referrers = await of([descriptor.digest], depth + 1);
      return { subject, graph, ...(tag === undefined ? {} : { tag }), referrers };
    } catch (error) {
      if (!isTagferryError(error, "MANIFEST_UNKNOWN", "INDEX_PLATFORM")) throw error;
      notCarried.push(descriptor);
      return undefined;
    }
  }

  const read = [...image.nodes.values()].filter(({ attestation }) => !attestation);
  const subjects = new Set([...read.map(({ descriptor }) => descriptor.digest), ...image.unread]);
  const referrers = await of([...subjects], 1);
  return { referrers, notCarried };
}

/**
 * Writes referrers after their subjects, each after its own content. Returns the number of copied referrers.
 *
 * The referrers of one subject are written one after another: some registries keep them in one index without a lock
 * (olareg) and lose entries that arrive at the same time. What the target lists already is not written again.
 */
export async function pushReferrers(
  referrers: readonly FoundReferrer[],
  pusher: Pusher,
  work: Work,
): Promise<number> {
  const bySubject = Map.groupBy(referrers, ({ subject }) => subject);
  const carried = await work.group.all(
    [...bySubject].map(([subject, found]) => pushOfSubject(subject, found, pusher, work)),
  );
  return carried.reduce((sum, count) => sum + count, 0);
}

async function pushOfSubject(
  subject: Digest,
  referrers: readonly FoundReferrer[],
  pusher: Pusher,
  work: Work,
): Promise<number> {
  const listed = await listedAtTarget(subject, work);
  await work.group.all(referrers.map(({ graph }) => pusher.pushContent(graph.root)));
  let carried = 0;
  for (const { graph, tag, referrers: further } of referrers) {
    const { digest } = graph.root.descriptor;
    const isMissing = tag === undefined && !listed.has(digest);
    await pusher.push(graph.root, { tag: work.referrerTags ? tag : undefined, isMissing });
    work.cache.delete(digest);
    carried += 1 + (await pushReferrers(further, pusher, work));
  }
  return carried;
}

/** The referrers that the target lists for a subject. When it cannot answer, all are written. */
async function listedAtTarget(
  subject: Digest,
  { target, group: { signal } }: Work,
): Promise<ReadonlySet<Digest>> {
  const listed = new Set<Digest>();
  try {
    for await (const { descriptor } of target.referrers(subject, { damaged: "absent", signal }))
      listed.add(descriptor.digest);
  } catch (error) {
    signal.throwIfAborted();
    if (!isTagferryError(error)) throw error;
  }
  return listed;
}
