import { statSync } from "node:fs";
import { join } from "node:path";

import { readLayout } from "../layout/read.ts";
import { walk } from "../oracle/closure.ts";
import type { Mirror } from "./mirror.ts";
import type { World } from "./world.ts";

export type LayoutWatch = Disposable & {
  /** Reads the index now. Records changes, and walks each tag that moved. */
  look(): void;
  /** While the harness damages the layout itself. */
  paused: boolean;
};

const EVERY_MS = 50;

/** Watches the index of a target layout while a run writes it, as a reader of the directory would. */
export function watchLayout(world: World, mirror: Mirror, directory: string): LayoutWatch {
  const known = new Map<string, string>();
  let last = "";
  const stamp = (): string => {
    try {
      const { mtimeMs, ino, size } = statSync(join(directory, "index.json"));
      return `${mtimeMs}/${ino}/${size}`;
    } catch {
      return "";
    }
  };
  const see = (): void => {
    const view = readLayout(directory);
    for (const tag of view.doubled)
      world.violate("wrong bytes", "in index.json", `${mirror.name}: ${tag} stands twice`);
    for (const [tag, digest] of view.tags) {
      if (known.get(tag) === digest) continue;
      known.set(tag, digest);
      mirror.targetHistory.push({ at: world.ledger.now(), tag, digest });
      world.ledger.note("harness", `${mirror.name}: the layout's ${tag} is ${digest}`);
      for (const problem of walk(view, digest).problems)
        world.violate("incomplete tag", "when it was published", `${mirror.name}:${tag}: ${problem}`);
    }
  };
  const watch: LayoutWatch = {
    paused: false,
    look: () => {
      const now = stamp();
      if (watch.paused || now === last || now === "") return;
      last = now;
      try {
        see();
      } catch (error) {
        world.violate("wrong bytes", "in index.json", `${mirror.name}: ${String(error)}`);
      }
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
  const timer = setInterval(() => watch.look(), EVERY_MS);
  return watch;
}
