import type { DaemonView } from "../../daemon/view/view.ts";
import { TagferryError } from "../../errors/error.ts";

/** The actions that a person or a program can request for a mirror. */
export const ACTIONS = ["sync", "pause", "resume", "retry"] as const;
export type ActionName = (typeof ACTIONS)[number];

export type Done = "queued" | "duplicate" | "paused" | "resumed" | "retried";

/** @throws {TagferryError} MIRROR_UNKNOWN */
export async function act(
  view: DaemonView,
  action: ActionName,
  { name, by }: { readonly name: string; readonly by: string },
): Promise<Done> {
  switch (action) {
    case "sync": {
      const added = await view.sync(name, by);
      if (added === undefined) throw unknownMirror(name);
      return added;
    }
    case "pause":
      return known(name, await view.pause(name, by), "paused");
    case "resume":
      return known(name, await view.resume(name, by), "resumed");
    case "retry":
      return known(name, await view.retry(name, by), "retried");
  }
}

function known(name: string, found: boolean, done: Done): Done {
  if (!found) throw unknownMirror(name);
  return done;
}

export function unknownMirror(name: string): TagferryError {
  return new TagferryError("MIRROR_UNKNOWN", `there is no mirror "${name.slice(0, 200)}"`);
}
