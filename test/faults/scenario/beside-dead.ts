import { setTimeout as sleep } from "node:timers/promises";

import { walk } from "../oracle/closure.ts";
import { DEADLINES } from "./deadlines.ts";
import { during, type Mirror, targetShown, wantedTags } from "./mirror.ts";
import type { Started } from "./product.ts";
import type { World } from "./world.ts";

/** Mirrors are in place soon although another mirror has a dead source. */
export async function watchBesideDead(
  worlds: readonly World[],
  command: Started,
  { awaitDead, remembers }: { readonly awaitDead: boolean; readonly remembers: boolean },
): Promise<void> {
  const waiting = new Set(worlds.filter((world) => world.dead !== undefined));
  if (waiting.size === 0) return;
  for (const world of waiting) world.ledger.count("a mirror's source is dead for ever");
  const from = new Map(worlds.map((world) => [world, world.runs.at(-1) ?? 0]));
  const late = performance.now() + DEADLINES.beside;
  while (command.running() && waiting.size > 0 && performance.now() < late) {
    await sleep(500);
    for (const world of waiting) if (isServed(world, from.get(world) ?? 0, remembers)) waiting.delete(world);
  }
  if (!command.running()) return;
  for (const world of waiting)
    world.violate(
      "held up by a dead mirror",
      "beside it",
      `${world.mirrors.map(({ name }) => name).join(", ")} not in place after ${DEADLINES.beside} ms; the dead source ${world.dead?.kind ?? ""}`,
    );
  if (!awaitDead) command.kill();
}

/** Whether each tag shows, whole, what its source had during the run. What moved or was deleted in the middle may be either. */
function isServed({ mirrors, ledger }: World, from: number, remembers: boolean): boolean {
  return mirrors.every(
    (mirror) => mirror.deletedAt >= from || shows(mirror, { from, to: ledger.now(), remembers }),
  );
}

type Seen = { readonly from: number; readonly to: number; readonly remembers: boolean };

/** A run that remembers what it verified does not look for damage at the target. */
function shows(mirror: Mirror, { from, to, remembers }: Seen): boolean {
  try {
    const shown = targetShown(mirror);
    return wantedTags(mirror).every((tag) => {
      const digest = shown.tags.get(tag) ?? "";
      const { digests, always } = during(mirror, tag, from, to);
      return (
        !always || (digests.includes(digest) && (remembers || walk(shown, digest).problems.length === 0))
      );
    });
  } catch {
    return false;
  }
}
