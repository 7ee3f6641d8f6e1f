import type { Mirror } from "../../config/config.ts";
import { targetName } from "../../config/target-name.ts";
import { type Failure, failureOf, TagferryError } from "../../errors/error.ts";
import type { Cancellable } from "../../lib/cancel.ts";
import { mapConcurrently } from "../../lib/limit.ts";
import { formatReference, formatLocation, type Repository } from "../../oci/reference.ts";
import { currentEvent, type ImageStream, type StreamName } from "../../openshift/image-stream.ts";
import type { ImportTag } from "../../openshift/import.ts";
import type { Change } from "../../plan/action.ts";
import type { Context } from "../context.ts";
import { locationOf } from "../sources.ts";
import type { Copied, Publisher, PublishOptions, TagFailures } from "./target.ts";

/**
 * Publishes the tags of one image stream.
 *
 * With `storage: integrated`, pushing the tag publishes it: the registry updates the stream. With `source` or a
 * repository, the cluster imports all changed tags in one request, by the planned digests. Tagferry writes the stream
 * itself only to claim tags, to finish a takeover, and to record what was published.
 */
export function streamPublisher(mirror: Mirror, target: StreamName, context: Context): Publisher {
  const { storage } = mirror;
  const imports = storage.kind !== "integrated";
  const name = targetName({ kind: "imagestream", ...target });

  async function claim(changes: readonly Change[], options: Cancellable = {}): Promise<TagFailures> {
    const streams = await context.streams(options);
    await streams.ensure(target, options);
    return streams.claim(
      target,
      changes.map(({ tag, from, takeover }) => ({
        tag,
        takeover,
        mirror: mirror.name,
        source: `${from.source}:${from.tag}`,
      })),
      options,
    );
  }

  async function publish(
    copied: readonly Copied[],
    { confirm, ...options }: PublishOptions = {},
  ): Promise<TagFailures> {
    if (copied.length === 0) return new Map();
    const streams = await context.streams(options);
    const failures = new Map<string, Failure>();
    const changes = copied.map(({ change }) => change);
    if (imports) {
      for (const [tag, failure] of await importAll(changes, { confirm, ...options }))
        failures.set(tag, failure);
    } else {
      const stream = await streams.get(target, options);
      for (const change of changes) {
        const failure = pushFailure(stream, change, name);
        if (failure) failures.set(change.tag, failure);
      }
    }
    const published = changes.filter(({ tag }) => !failures.has(tag));
    await streams.recordPublished(
      target,
      published.map(({ tag, from, image, takeover }) => ({
        tag,
        mirror: mirror.name,
        source: `${from.source}:${from.tag}`,
        digest: image.digest,
        // a spec tag that imports would restore the old image, so it is removed when ours is in place
        finishTakeover: takeover && !imports,
      })),
      options,
    );
    return failures;
  }

  async function importAll(
    changes: readonly Change[],
    { confirm, ...options }: PublishOptions,
  ): Promise<TagFailures> {
    const streams = await context.streams(options);
    const { confirmed, failures } = await confirmAll(changes, confirm, options);
    if (confirmed.length === 0) return failures;
    const imported = await streams.importTags(
      target,
      confirmed.map((change) => importTag(change, mirror, context)),
      options,
    );
    return new Map([...failures, ...imported]);
  }

  return {
    imports,
    claim,
    copyTarget: async (options) => {
      switch (storage.kind) {
        case "integrated":
          return context.integrated(target, options);
        case "source":
          return undefined;
        case "repository":
          return context.target({
            kind: "registry",
            registry: storage.registry,
            repository: storage.repository,
          });
      }
    },
    publish,
    async remove(prunes, options) {
      if (prunes.length === 0) return new Map();
      const streams = await context.streams(options);
      return streams.removeTags(
        target,
        prunes.map(({ tag }) => tag),
        { mirror: mirror.name, ...options },
      );
    },
    async remember(notes, options) {
      if (notes.length === 0) return;
      const streams = await context.streams(options);
      await streams.recordMissing(
        target,
        notes.map(({ tag, missingSince }) => ({ tag, missingSince })),
        { mirror: mirror.name, ...options },
      );
    },
    explain: (failure) => (imports ? failure : explained(failure, target)),
    async notice(failed, options) {
      if (failed.length === 0) return;
      const streams = await context.streams(options);
      for (const { tag, failure } of failed)
        await streams.event(target, { tag, mirror: mirror.name, failure }, options);
    },
  };
}

/**
 * Adds likely causes. The integrated registry answers 401 for a missing right. Its 403 has the same text for a
 * LimitRange, a quota, and a namespace that no longer exists.
 */
function explained(failure: Failure, stream: StreamName): Failure {
  const { namespace } = stream;
  if (failure.code !== "DENIED" || failure.details["status"] !== 403) return failure;
  const what = targetName({ kind: "imagestream", ...stream });
  return {
    ...failureOf(
      new TagferryError("TARGET_QUOTA", `${what}: a limit, a quota or the namespace forbids the push`, {
        ...failure.details,
        where: what,
      }),
    ),
    next: `See what forbids it: oc describe limits,quota -n ${namespace}; oc get namespace ${namespace}.`,
  };
}

/** How many tags of one import are confirmed at the source at once. */
const CONFIRM_CONCURRENCY = 16;

/** Asks the source for each tag whether it still has the planned digest. */
async function confirmAll(
  changes: readonly Change[],
  confirm: PublishOptions["confirm"],
  { signal }: Cancellable,
): Promise<{ readonly confirmed: readonly Change[]; readonly failures: TagFailures }> {
  const failures = new Map<string, Failure>();
  const ask = async (change: Change): Promise<void> => {
    try {
      await confirm?.(change);
    } catch (error) {
      signal?.throwIfAborted();
      failures.set(change.tag, failureOf(error));
    }
  };
  for await (const _ of mapConcurrently(changes, CONFIRM_CONCURRENCY, ask));
  return { confirmed: changes.filter(({ tag }) => !failures.has(tag)), failures };
}

/** Imports by digest, so that the imported image is the planned one. */
function importTag(change: Change, mirror: Mirror, context: Context): ImportTag {
  const from = importSource(change, mirror);
  const { tag, image } = change;
  return {
    tag,
    from: formatReference({ ...from, digest: image.digest }),
    digest: image.digest,
    referencePolicy: mirror.referencePolicy === "local" ? "Local" : "Source",
    insecure: context.isInsecure(from),
  };
}

/** Where the cluster pulls from: the repository that stores the bytes, or the source. */
function importSource(change: Change, mirror: Mirror): Repository {
  const { storage, name } = mirror;
  if (storage.kind === "repository") return { registry: storage.registry, repository: storage.repository };
  const source = locationOf(mirror, change.from);
  if (source.kind === "registry") return { registry: source.registry, repository: source.repository };
  throw new TagferryError("CONFIG_TYPE", `mirror ${name}: a cluster cannot import from a directory`, {
    found: `storage: ${storage.kind} with ${formatLocation(source)}`,
    allowed: "storage: integrated, or a repository",
  });
}

/** After the push was answered with 201, the stream must show the image. */
function pushFailure(
  stream: ImageStream | undefined,
  { tag, image }: Change,
  name: string,
): Failure | undefined {
  const event = stream && currentEvent(stream, tag);
  if (event?.image === image.digest) return undefined;
  return failureOf(
    new TagferryError("TARGET_READBACK", `${name}:${tag} was pushed, but the stream shows another digest`, {
      where: `${name}:${tag}`,
      found: event?.image ?? "no such tag",
      allowed: image.digest,
    }),
  );
}
