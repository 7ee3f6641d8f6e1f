import type { DaemonView } from "../../daemon/view/view.ts";
import { isTagferryError, TagferryError } from "../../errors/error.ts";

/** The actions that a person or a program can request for a mirror. */
export const ACTIONS = ["sync", "pause", "resume", "retry", "cancel"] as const;
export type ActionName = (typeof ACTIONS)[number];

/** Those that can be requested for many mirrors at once. */
export const BULK_ACTIONS = ["sync", "pause", "resume"] as const satisfies readonly ActionName[];

export const DONE = ["queued", "duplicate", "paused", "resumed", "retried", "cancelled"] as const;
export type Done = (typeof DONE)[number];

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
    case "cancel":
      return known(name, await view.cancel(name, by), "cancelled");
  }
}

export type DoneToOne = { readonly mirror: string; readonly result: Done | "unknown" };

/** A mirror that is gone stops none of the others. */
export async function actOnMany(
  view: DaemonView,
  action: (typeof BULK_ACTIONS)[number],
  { names, by }: { readonly names: readonly string[]; readonly by: string },
): Promise<readonly DoneToOne[]> {
  const done = async (name: string): Promise<DoneToOne> => {
    try {
      return { mirror: name, result: await act(view, action, { name, by }) };
    } catch (error) {
      if (isTagferryError(error, "MIRROR_UNKNOWN")) return { mirror: name, result: "unknown" };
      throw error;
    }
  };
  return Promise.all(names.map(done));
}

function known(name: string, found: boolean, done: Done): Done {
  if (!found) throw unknownMirror(name);
  return done;
}

export function unknownMirror(name: string): TagferryError {
  return new TagferryError("MIRROR_UNKNOWN", `there is no mirror "${name.slice(0, 200)}"`);
}
