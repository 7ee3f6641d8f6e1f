import { join } from "node:path";

import { startStreamCluster, type StreamCluster, streamEvents, streamShown } from "../cluster/streams.ts";
import { anyContent, layerPool, type LayerPool } from "../content/images.ts";
import { chooseRules, type Injector, injector, slowReads } from "../inject/injector.ts";
import { type Ledger, ledger, type Side } from "../ledger.ts";
import { walk } from "../oracle/closure.ts";
import type { Violation, ViolationKind } from "../oracle/violation.ts";
import { type Random, randomOf } from "../random.ts";
import type { Repository, TagChange } from "../registry/repository.ts";
import { repository } from "../registry/repository.ts";
import { rulesOf } from "../registry/rules.ts";
import { type Registry, startRegistry } from "../registry/server.ts";
import { moveTag, sign } from "./changes.ts";
import { type DeadSource, startDead } from "./dead.ts";
import { type LayoutWatch, watchLayout } from "./layout-watch.ts";
import { type End, type Mirror, publishSource, type TagRule } from "./mirror.ts";

/** The ways content travels: which end is a registry, a layout or an image stream. */
export type Way = "registry to registry" | "registry to layout" | "layout to registry" | "registry to stream";

export type Form = {
  /** The probability that a slow fault is kept after it was drawn. */
  readonly slow: number;
  /** Some layers have several MiB. */
  readonly large: boolean;
  /** Blobs at the target are altered too. This is visible only when they are read again. */
  readonly altered: boolean;
  /** No faults. A violation is then a fault of the product or of the harness. */
  readonly calm: boolean;
  /** Whether to wait until a run with a dead mirror has ended; otherwise only until the other mirrors are in place. */
  readonly awaitDead: boolean;
  /** How likely `plan` and `copy` are run too. */
  readonly others: number;
  /** How long tags move and faults happen in front of a daemon, at most. */
  readonly churnMs: number;
  /** How likely a daemon works with a Redis and workers of their own. */
  readonly redis: number;
};

/** One scenario: one to three mirrors from one source to one target, the faults, and the expected state. */
export type World = AsyncDisposable & {
  readonly number: number;
  readonly way: Way;
  readonly random: Random;
  readonly pool: LayerPool;
  readonly ledger: Ledger;
  readonly mirrors: readonly Mirror[];
  readonly registries: readonly Registry[];
  /** Of registries; a cluster has its own. */
  readonly injectors: readonly Injector[];
  readonly streams: StreamCluster | undefined;
  readonly dead: DeadSource | undefined;
  readonly violations: Violation[];
  readonly layoutWatches: readonly LayoutWatch[];
  /** When the harness had finished its set-up. Later changes were made by the product. */
  begunAt: number;
  /** The longest run that was not killed, in milliseconds. */
  longestRunMs: number;
  /** When each run of the product began. */
  readonly runs: number[];
  readonly violate: (kind: ViolationKind, when: string, what: string) => void;
  /** Turns the faults of answers on or off. */
  faults(on: boolean): void;
  /** Called at each request of either side, with how many there were. */
  onRequest: (count: number) => void;
};

export type WorldOptions = {
  readonly directory: string;
  readonly form: Form;
  /** A target registry becomes a cluster with image streams. One world of a batch can have one: a configuration names one cluster. */
  readonly stream?: boolean;
};

export async function openWorld(
  seed: string,
  number: number,
  { directory, form, stream = false }: WorldOptions,
): Promise<World> {
  const random = randomOf(`${seed}/${number}`);
  const drawn = random.pick<Way>([
    "registry to registry",
    "registry to registry",
    "registry to registry",
    "registry to layout",
    "layout to registry",
  ]);
  const way = stream && drawn === "registry to registry" ? "registry to stream" : drawn;
  const book = ledger();
  const stack = new AsyncDisposableStack();
  const violations: Violation[] = [];
  let requests = 0;
  const violate = (kind: ViolationKind, when: string, what: string): void => {
    violations.push({ kind, when, what });
    book.note("harness", `VIOLATION ${kind} (${when}): ${what}`);
  };
  const onRequest = (): void => {
    requests += 1;
    world.onRequest(requests);
  };
  const dead =
    random.chance(0.1) && !form.calm ? stack.use(await startDead(random.fork("dead"), form.slow)) : undefined;
  const injectors = (["source", "target"] as const).map((side) => {
    const own = random.fork(`rules ${side}`);
    const late = side === "source" && own.chance(0.15) ? [slowReads()] : [];
    const rules =
      dead === undefined && !form.calm ? [...chooseRules(own, { side, slow: form.slow }), ...late] : [];
    return injector(rules, random.fork(`strikes ${side}`), book);
  });
  const begin = async (side: Side): Promise<Registry> =>
    stack.use(
      await startRegistry({
        side,
        rules: rulesOf(random.fork(`registry ${side}`)),
        injector: injectors[side === "source" ? 0 : 1] ?? injector([], random, book),
        random: random.fork(`faults ${side}`),
        ledger: book,
        onRequest,
        onMove: (name, change) => moved(side, name, change),
      }),
    );
  const source = way === "layout to registry" ? undefined : await begin("source");
  const target =
    way === "registry to layout" || way === "registry to stream" ? undefined : await begin("target");
  const streams =
    way === "registry to stream"
      ? stack.use(
          await startStreamCluster({
            random: random.fork("cluster"),
            ledger: book,
            directory,
            calm: form.calm || dead !== undefined,
            onRequest,
            onAnswered: () => {
              for (const see of sightings) see();
            },
          }),
        )
      : undefined;
  const sightings: (() => void)[] = [];
  const pool = layerPool(random.fork("pool"), form.large);
  const mirrors: Mirror[] = [];
  const moved = (side: Side, name: string, change: TagChange): void => {
    if (side === "target") checkMove(name, change);
  };
  const checkMove = (name: string, { tag, digest }: TagChange): void => {
    const repo = target?.repositories.get(name);
    book.note("harness", `the target's ${name}:${tag} is ${digest ?? "gone"}`);
    if (repo === undefined || digest === undefined) return;
    for (const problem of walk(repo, digest).problems)
      violate("incomplete tag", "when it was published", `${name}:${tag}: ${problem}`);
  };
  const layoutWatches: LayoutWatch[] = [];
  const world: World = {
    number,
    way,
    random,
    pool,
    ledger: book,
    mirrors,
    registries: [source, target].filter((registry) => registry !== undefined),
    injectors,
    streams,
    dead,
    violations,
    violate,
    layoutWatches,
    begunAt: 0,
    longestRunMs: 0,
    runs: [],
    faults: (on) => {
      for (const each of [...injectors, ...(streams ? [streams.injector] : [])]) each.active = on;
    },
    onRequest: () => undefined,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
  const count = random.pick([1, 1, 2, 3]);
  for (let at = 0; at < count; at += 1) mirrors.push(openMirror(world, at, { source, target, directory }));
  for (const mirror of mirrors)
    if (mirror.targetEnd.kind === "stream") sightings.push(watchStream(world, mirror, mirror.targetEnd));
  for (const mirror of mirrors)
    if (mirror.targetEnd.kind === "layout")
      layoutWatches.push(stack.use(watchLayout(world, mirror, mirror.targetEnd.directory)));
  world.begunAt = book.now();
  return world;
}

/** Notes what a stream's tags became, and walks each image when it is published. */
function watchStream(
  { ledger: book, violate }: World,
  mirror: Mirror,
  { streams: { cluster }, name }: Extract<End, { readonly kind: "stream" }>,
): () => void {
  const events = streamEvents(cluster, name, book.now);
  return () => {
    for (const change of events()) {
      mirror.targetHistory.push(change);
      const { tag, digest = "" } = change;
      book.note("harness", `the stream's ${name}:${tag} is ${digest}`);
      for (const problem of walk(streamShown(cluster, name), digest).problems)
        violate("incomplete tag", "when it was published", `${name}:${tag}: ${problem}`);
    }
  };
}

type Ends = {
  readonly source: Registry | undefined;
  readonly target: Registry | undefined;
  readonly directory: string;
};

function openMirror(world: World, at: number, { source, target, directory }: Ends): Mirror {
  const { random, number, ledger: book } = world;
  const own = random.fork(`mirror ${at}`);
  const name = `s${number}-m${at}`;
  const sourceEnd: End = source
    ? { kind: "registry", registry: source, name: `up/app${at}` }
    : { kind: "layout", directory: join(directory, `${name}-source`) };
  const targetEnd: End = world.streams
    ? { kind: "stream", streams: world.streams, name: `app${at}` }
    : target
      ? { kind: "registry", registry: target, name: `down/app${at}` }
      : { kind: "layout", directory: join(directory, `${name}-target`) };
  const tags = own.sample(["v1", "v2", "v3", "v4", "latest", "stable", "1.2.3", "1.2"], own.int(1, 5));
  const mirror: Mirror = {
    name,
    rule: ruleFor(own, tags),
    sourceEnd,
    targetEnd,
    source:
      sourceEnd.kind === "registry" ? sourceEnd.registry.repository(sourceEnd.name) : repository(book.now),
    targetHistory: target?.repository(`down/app${at}`).history ?? [],
    referrersChangedAt: -1,
    deletedAt: -1,
  };
  furnish(world, own, mirror, tags);
  return mirror;
}

function ruleFor(random: Random, tags: readonly string[]): TagRule {
  const chosen = random.float();
  if (chosen < 0.4) return { kind: "exact", names: random.sample(tags, random.int(1, tags.length)) };
  return chosen < 0.75 || !tags.some((tag) => tag.startsWith("v"))
    ? { kind: "all" }
    : { kind: "glob", prefix: "v" };
}

/** Fills the source, and often also the target, as an earlier run would have done. */
function furnish(world: World, random: Random, mirror: Mirror, tags: readonly string[]): void {
  const scene = { ledger: world.ledger, random, pool: world.pool };
  for (const tag of tags) moveTag(scene, mirror, tag);
  for (const tag of tags) if (random.chance(0.35)) sign(scene, mirror, tag);
  const { targetEnd, source } = mirror;
  if (targetEnd.kind === "registry" && random.chance(0.5)) {
    const held = targetEnd.registry.repository(targetEnd.name);
    for (const tag of random.sample(tags, random.int(1, tags.length))) {
      const digest = source.tags.get(tag);
      if (digest === undefined) continue;
      bring(source, held, digest);
      held.setTag(tag, digest);
      if (random.chance(0.5)) moveTag(scene, mirror, tag);
    }
  }
  // content without a tag, as a killed run leaves it
  if (targetEnd.kind === "registry" && random.chance(0.2)) {
    const held = targetEnd.registry.repository(targetEnd.name);
    const content = anyContent(random, world.pool, { nested: false });
    source.add(content);
    source.setTag(random.pick(tags), content.top.digest);
    for (const { digest, bytes } of random.sample(content.blobs, 2)) held.blobs.set(digest, bytes);
  }
  // a complete image by digest, as a run leaves it that failed right before the tag
  const own = random.fork("by digest");
  if (targetEnd.kind === "registry" && own.chance(0.2))
    bring(source, targetEnd.registry.repository(targetEnd.name), source.tags.get(own.pick(tags)) ?? "");
  publishSource(mirror);
}

function bring(source: Repository, target: Repository, digest: string): void {
  const { manifests, blobs } = walk(source, digest);
  for (const each of blobs) {
    const bytes = source.blob(each);
    if (bytes !== undefined) target.blobs.set(each, bytes);
  }
  for (const each of manifests) {
    const manifest = source.manifest(each);
    if (manifest !== undefined) target.manifests.set(each, manifest);
  }
}
