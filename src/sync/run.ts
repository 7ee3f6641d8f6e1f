import type { Config, Mirror } from "../config/config.ts";
import { targetName } from "../config/target-name.ts";
import { failureOf, TagferryError } from "../errors/error.ts";
import { type Cancellable, unlessAborted, within } from "../lib/cancel.ts";
import { matchesByName, type Rival } from "../plan/conflicts.ts";
import type { Context } from "./context.ts";
import { type Selection, selectTags } from "./selection.ts";

/** What the checks of one run share: the time, and selections that several mirrors need. */
export type CheckRun = Disposable & {
  readonly now: Date;
  readonly clock: () => Date;
  readonly context: Context;
  readonly signal: AbortSignal;
  /** The tags that the rules of a mirror select. Read only once per run. */
  selection(mirror: Mirror, options: Cancellable): Promise<Selection>;
  /** The other mirrors with the same target whose rules could select some of these tags. */
  rivals(mirror: Mirror, tags: readonly string[], options: Cancellable): Promise<readonly Rival[]>;
};

export type RunOptions = Cancellable & {
  /** The time from which the ages of tags are counted. */
  readonly now?: Date | undefined;
  /** Gives the time at which a source is asked. */
  readonly clock?: (() => Date) | undefined;
};

/** How long a mirror waits for the selection of another mirror. */
const PATIENCE_MS = 30_000;

export function openRun(
  context: Context,
  { signal: outer, clock = () => new Date(), now }: RunOptions,
): CheckRun {
  const ending = new AbortController();
  const signal = outer ? AbortSignal.any([outer, ending.signal]) : ending.signal;
  const shared = new Map<string, Promise<Selection>>();
  const time = { now: now ?? clock(), clock };

  function siblingsOf({ name, target }: Mirror): readonly Mirror[] {
    const sharing = mirrorsByTarget(context.config).get(targetName(target)) ?? [];
    return sharing.filter((one) => one.name !== name);
  }

  function selection(mirror: Mirror, options: Cancellable): Promise<Selection> {
    if (siblingsOf(mirror).length === 0) return selectTags(mirror, context, { ...time, ...options });
    const known = shared.get(mirror.name);
    if (known) return unlessAborted(known, options.signal);
    const reading = beforeDeadline(mirror, { signal }, (deadline) =>
      selectTags(mirror, context, { ...time, signal: deadline }),
    );
    reading.catch(() => {}); // every caller that shares this reading gets its error
    shared.set(mirror.name, reading);
    return unlessAborted(reading, options.signal);
  }

  async function rival(mirror: Mirror, tags: readonly string[], options: Cancellable): Promise<Rival[]> {
    const matches = matchesByName(mirror.tags, tags);
    if (matches.size === 0) return [];
    if (mirror.tags.kind === "exact") return [{ kind: "known", mirror: mirror.name, selects: matches }];
    try {
      const { tags: selected } = await selection(mirror, { signal: within(PATIENCE_MS, options) });
      return [{ kind: "known", mirror: mirror.name, selects: new Set(selected.map(({ tag }) => tag)) }];
    } catch (error) {
      options.signal?.throwIfAborted();
      return [{ kind: "unknown", mirror: mirror.name, matches, failure: failureOf(asAnswer(error, mirror)) }];
    }
  }

  return {
    ...time,
    context,
    signal,
    selection,
    rivals: async (mirror, tags, options) =>
      (await Promise.all(siblingsOf(mirror).map((one) => rival(one, tags, options)))).flat(),
    [Symbol.dispose]: () => ending.abort(new DOMException("The run is over", "AbortError")),
  };
}

const byTarget = new WeakMap<Config, ReadonlyMap<string, readonly Mirror[]>>();

/** Grouped once for each configuration: a daemon asks for it with every check. */
function mirrorsByTarget(config: Config): ReadonlyMap<string, readonly Mirror[]> {
  const known = byTarget.get(config) ?? Map.groupBy(config.mirrors, ({ target }) => targetName(target));
  byTarget.set(config, known);
  return known;
}

/** A timeout of this wait becomes an ordinary failure. */
function asAnswer(error: unknown, { name }: Mirror): unknown {
  return error instanceof DOMException && error.name === "TimeoutError"
    ? new TagferryError("CHECK_DEADLINE", `the source of mirror ${name} did not answer in time`, {
        where: name,
        allowed: `${PATIENCE_MS / 1000}s`,
      })
    : error;
}

/**
 * Runs the check of a mirror within its deadline, even when the task ignores its signal.
 *
 * @throws {TagferryError} CHECK_DEADLINE
 */
export async function beforeDeadline<T>(
  { name, deadlineMs }: Mirror,
  { signal }: Cancellable,
  task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = within(deadlineMs, { signal });
  try {
    return await unlessAborted(task(deadline), deadline);
  } catch (error) {
    signal?.throwIfAborted();
    if (!deadline.aborted) throw error;
    throw new TagferryError("CHECK_DEADLINE", `the check of mirror ${name} took too long`, {
      cause: error,
      where: name,
      allowed: `${deadlineMs / 1000}s`,
    });
  }
}
