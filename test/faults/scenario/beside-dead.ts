import { setTimeout as sleep } from "node:timers/promises";

import { inPlace } from "../oracle/end.ts";
import { DEADLINES } from "./deadlines.ts";
import type { Started } from "./product.ts";
import type { World } from "./world.ts";

/** Mirrors are in place soon although another mirror has a dead source. */
export async function watchBesideDead(
  worlds: readonly World[],
  command: Started,
  { awaitDead }: { readonly awaitDead: boolean },
): Promise<void> {
  const waiting = new Set(worlds.filter((world) => world.dead !== undefined));
  if (waiting.size === 0) return;
  for (const world of waiting) world.ledger.count("a mirror's source is dead for ever");
  const late = performance.now() + DEADLINES.beside;
  while (command.running() && waiting.size > 0 && performance.now() < late) {
    await sleep(500);
    for (const world of waiting) if (inPlace(world.mirrors)) waiting.delete(world);
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
