import { join } from "node:path";

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

/** The ways content travels: which end is a registry and which a layout. */
export type Way = "registry to registry" | "registry to layout" | "layout to registry";

export type Form = {
  /** How likely a slow fault is kept when it was drawn. */
  readonly slow: number;
  /** Layers of several MiB come too. */
  readonly large: boolean;
  /** Blobs that are in place at a target are altered too: only who reads them again sees it. */
  readonly altered: boolean;
  /** No faults at all: what is found then is a fault of the product, or of this harness. */
  readonly calm: boolean;
  /** A run with a dead mirror is awaited to its end; else only until the others are in place. */
  readonly awaitDead: boolean;
  /** How likely `plan` and `copy` are run too. */
  readonly others: number;
  /** How long tags move and faults happen in front of a daemon, at most. */
  readonly churnMs: number;
};

/** One scenario: one to three mirrors between one source and one target, their faults, and what is known about it all. */
export type World = AsyncDisposable & {
  readonly number: number;
  readonly way: Way;
  readonly random: Random;
  readonly pool: LayerPool;
  readonly ledger: Ledger;
  readonly mirrors: readonly Mirror[];
  readonly registries: readonly Registry[];
  readonly injectors: readonly Injector[];
  readonly dead: DeadSource | undefined;
  readonly violations: Violation[];
  readonly layoutWatches: readonly LayoutWatch[];
  /** When the harness had made everything; what came later the product did. */
  begunAt: number;
  /** The longest run that was not killed, in milliseconds. */
  longestRunMs: number;
  /** When each run of the product began. */
  readonly runs: number[];
  violate(kind: ViolationKind, when: string, what: string): void;
  /** Turns the faults of answers on or off. */
  faults(on: boolean): void;
  /** Called at each request of either side, with how many there were. */
  onRequest: (count: number) => void;
};

export async function openWorld(seed: string, number: number, directory: string, form: Form): Promise<World> {
  const random = randomOf(`${seed}/${number}`);
  const way = random.pick<Way>([
    "registry to registry",
    "registry to registry",
    "registry to registry",
    "registry to layout",
    "layout to registry",
  ]);
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
  const target = way === "registry to layout" ? undefined : await begin("target");
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
    dead,
    violations,
    violate,
    layoutWatches,
    begunAt: 0,
    longestRunMs: 0,
    runs: [],
    faults: (on) => {
      for (const each of injectors) each.active = on;
    },
    onRequest: () => undefined,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
  const count = random.pick([1, 1, 2, 3]);
  for (let at = 0; at < count; at += 1) mirrors.push(openMirror(world, at, { source, target, directory }));
  for (const mirror of mirrors)
    if (mirror.targetEnd.kind === "layout")
      layoutWatches.push(stack.use(watchLayout(world, mirror, mirror.targetEnd.directory)));
  world.begunAt = book.now();
  return world;
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
  const targetEnd: End = target
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

/** Fills the source, and often the target with what an earlier run would have brought. */
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
  // content without a tag: what a run left behind that was killed
  if (targetEnd.kind === "registry" && random.chance(0.2)) {
    const held = targetEnd.registry.repository(targetEnd.name);
    const content = anyContent(random, world.pool, { nested: false });
    source.add(content);
    source.setTag(random.pick(tags), content.top.digest);
    for (const { digest, bytes } of random.sample(content.blobs, 2)) held.blobs.set(digest, bytes);
  }
  // a whole image by its digest: what a run left behind that failed right before the tag
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
