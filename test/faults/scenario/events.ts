import type { EventName } from "../inject/catalogue.ts";
import { damageLayout, LAYOUT_DAMAGE, type LayoutDamage } from "../layout/damage.ts";
import {
  damageTarget,
  type Deletion,
  deleteManifest,
  moveTag,
  removeTag,
  type Scene,
  sign,
  type TargetDamage,
} from "./changes.ts";
import { publishSource, wantedTags } from "./mirror.ts";
import type { World } from "./world.ts";

/** Events at source and target besides wrong answers. */

function sceneOf({ ledger, random, pool }: World): Scene {
  return { ledger, random, pool };
}

const MID_RUN = [
  "a tag moves in the middle of a run",
  "a tag moves in the middle of a run",
  "a manifest is deleted in the middle of a run",
  "a tag is removed in the middle of a run",
  "a signature is pushed after its image",
] as const satisfies readonly EventName[];

/** Moves, signatures and deletions at the source, each at some request of the run. */
export function scheduleEvents(world: World, undo: Deletion[]): void {
  const { random } = world;
  let count = 0;
  let events = Array.from({ length: random.pick([0, 0, 1, 2, 3]) }, () => ({
    at: random.int(1, 60),
    kind: random.pick(MID_RUN),
  }));
  world.onRequest = () => {
    count += 1;
    const due = events.filter(({ at }) => at <= count);
    events = events.filter(({ at }) => at > count);
    for (const { kind } of due) happen(world, kind, undo);
  };
}

function happen(world: World, kind: (typeof MID_RUN)[number], undo: Deletion[]): void {
  const { random, ledger } = world;
  const scene = sceneOf(world);
  const mirror = random.pick(world.mirrors);
  const tags = wantedTags(mirror);
  if (tags.length === 0) return;
  ledger.count(kind);
  const tag = random.pick(tags);
  const deleted = (deletion: Deletion | undefined): void => {
    if (deletion) undo.push(deletion);
  };
  switch (kind) {
    case "a tag moves in the middle of a run":
      moveTag(scene, mirror, tag);
      return;
    case "a signature is pushed after its image":
      sign(scene, mirror, tag);
      return;
    case "a tag is removed in the middle of a run":
      deleted(removeTag(scene, mirror, tag));
      return;
    case "a manifest is deleted in the middle of a run":
      deleted(deleteManifest(scene, mirror, tag));
  }
}

/** Content is missing in a damaged layout, whatever a run reads first. */
const UNTIL_RESTORED = Number.MAX_SAFE_INTEGER;

/** What happens to sources and targets while nothing runs. */
export function betweenRuns(world: World, { altered }: { readonly altered: boolean }): void {
  const { random, mirrors, ledger } = world;
  for (const mirror of mirrors) {
    const tags = wantedTags(mirror);
    if (tags.length > 0 && random.chance(0.4)) moveTag(sceneOf(world), mirror, random.pick(tags));
    if (mirror.sourceEnd.kind !== "layout" || !random.chance(0.6)) continue;
    const kind = random.pick(LAYOUT_DAMAGE);
    ledger.count(kind);
    ledger.note(
      "harness",
      `${mirror.name}: the source's ${damageLayout(mirror.sourceEnd.directory, kind, random)}`,
    );
    mirror.deletedAt = UNTIL_RESTORED;
  }
  damageTargets(world, altered, 0.15);
}

/** The source is complete again, signatures come late, and sometimes the target is damaged again. */
export function beforeCleanRun(world: World, { calm }: { readonly calm: boolean }): void {
  const { random, mirrors, ledger } = world;
  world.faults(false);
  for (const mirror of mirrors) {
    publishSource(mirror, { whole: true });
    mirror.deletedAt = Math.min(mirror.deletedAt, ledger.now());
    const tags = wantedTags(mirror);
    if (tags.length === 0 || !random.chance(0.25)) continue;
    ledger.count("a signature is pushed after its image");
    sign(sceneOf(world), mirror, random.pick(tags));
  }
  if (!calm) damageTargets(world, false, 0.05);
}

const AT_TARGET: readonly TargetDamage[] = [
  "a blob is lost at the target behind its back",
  "a blob is truncated at the target behind its back",
  "a tag is removed at the target behind its back",
];
const AT_LAYOUT: readonly LayoutDamage[] = [
  "layout: a blob is truncated",
  "layout: a blob is removed",
  "layout: stray files",
];

/** Damage that a run has to notice and mend by itself. */
function damageTargets(world: World, altered: boolean, probability: number): void {
  const { random, mirrors, ledger } = world;
  for (const mirror of mirrors) {
    if (!random.chance(probability)) continue;
    const { targetEnd } = mirror;
    if (targetEnd.kind === "registry") {
      const kind = random.pick(AT_TARGET);
      const repo = targetEnd.registry.repository(targetEnd.name);
      if (damageTarget(sceneOf(world), mirror, repo, kind)) ledger.count(kind);
    } else if (targetEnd.kind === "layout" && mirror.targetHistory.length > 0) {
      const kind = random.pick(altered ? [...AT_LAYOUT, "layout: a blob is altered" as const] : AT_LAYOUT);
      ledger.count(kind);
      ledger.note(
        "harness",
        `${mirror.name}: the target's ${damageLayout(targetEnd.directory, kind, random)}`,
      );
    }
  }
}
