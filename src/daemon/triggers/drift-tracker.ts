import { failureOf, isTagferryError } from "../../errors/error.ts";
import type { Log } from "../../lib/log.ts";
import type { Drift } from "../../sync/targets/stream-drift.ts";
import type { Scheduler } from "./scheduler.ts";

export type DriftTrackerOptions = {
  readonly requestCheck: Scheduler["requestCheck"];
  /** Whether a run of this mirror is in progress, in any process. */
  readonly isOpen: (mirror: string) => Promise<boolean>;
  readonly log: Log;
  readonly now: () => Date;
  /** A stream is examined when it has not changed for this long. */
  readonly settleMs?: number;
  /** The minimum time between two checks of a mirror because of its stream. */
  readonly restMs?: number;
};

/** The state of a stream as one of its mirrors sees it. */
export type Seen =
  | {
      readonly kind: "stream";
      readonly drift: readonly Drift[];
      /** Whether the mirror has published tags into it. */
      readonly owns: boolean;
      /** The resource version of the stream. */
      readonly version: string;
    }
  | { readonly kind: "gone"; readonly version: string };

/**
 * Remembers the drift of the streams of mirrors, and requests a check when somebody else changed one. The same drift
 * causes one check: what this check does not repair (a contested tag, a paused mirror) causes no other.
 */
export type DriftTracker = Disposable & {
  note(mirror: string, seen: Seen): void;
};

type MirrorState = {
  owns: boolean;
  /** Empty when all tags are as they were published. */
  drift: string;
  tags: readonly string[];
  /** The resource version of the stream. */
  version: string;
  /** The drift for which a check was requested. */
  asked: string;
  askedAtMs: number;
  /** Since when an examination has waited for a run of ours. */
  waitingSinceMs: number | undefined;
  timer: NodeJS.Timeout | undefined;
};

const GONE = "the stream is gone";
/** A run that stays open for longer than this was lost, and is not waited for. */
const RUN_MAX_MS = 10 * 60_000;

/** `read`: reads the stream of a mirror. */
export function openDriftTracker(
  { requestCheck, isOpen, log, settleMs = 3_000, restMs = 60_000 }: DriftTrackerOptions,
  read: (mirror: string) => Promise<Seen>,
): DriftTracker {
  const known = new Map<string, MirrorState>();
  let isDisposed = false;

  function stateOf(mirror: string): MirrorState {
    const state = known.get(mirror) ?? newState();
    known.set(mirror, state);
    return state;
  }

  function lookLater(mirror: string, state: MirrorState, afterMs: number): void {
    clearTimeout(state.timer);
    state.timer = setTimeout(() => {
      state.timer = undefined;
      look(mirror, state).catch((error: unknown) => {
        log.debug({ mirror, ...failureOf(error) }, `the stream of ${mirror} cannot be read now`);
        if (!isDisposed && !state.timer) lookLater(mirror, state, restMs);
      });
    }, afterMs).unref();
  }

  async function look(mirror: string, state: MirrorState): Promise<void> {
    if (state.drift === "") state.asked = "";
    if (state.drift === state.asked) return;
    const restedMs = performance.now() - state.askedAtMs;
    if (restedMs < restMs) return lookLater(mirror, state, restMs - restedMs);
    // our own work moves a tag first and records it afterwards, and the watch reports both with a delay
    if (await isOwnWork(mirror, state)) return lookLater(mirror, state, settleMs);
    take(state, await read(mirror));
    if (state.drift === "" || (await isOwnWork(mirror, state))) return lookLater(mirror, state, settleMs);
    if (isDisposed || state.timer) return; // it has changed again, and is examined again
    state.asked = state.drift;
    state.askedAtMs = performance.now();
    log.info(
      { mirror, tags: state.tags },
      `somebody else changed the stream of ${mirror}: the mirror is checked`,
    );
    requestCheck(mirror, "stream", { occasion: `stream-${state.version}` }).catch((error: unknown) => {
      // without Redis, the scheduler sends it later
      if (!isTagferryError(error, "QUEUE_AWAY"))
        log.error({ err: error, mirror }, `${mirror} cannot be made due`);
    });
  }

  async function isOwnWork(mirror: string, state: MirrorState): Promise<boolean> {
    if (!(await isOpen(mirror))) {
      state.waitingSinceMs = undefined;
      return false;
    }
    state.waitingSinceMs ??= performance.now();
    return performance.now() - state.waitingSinceMs < RUN_MAX_MS;
  }

  return {
    note(mirror, seen) {
      const state = stateOf(mirror);
      take(state, seen);
      lookLater(mirror, state, settleMs);
    },
    [Symbol.dispose]() {
      isDisposed = true;
      for (const { timer } of known.values()) clearTimeout(timer);
    },
  };
}

function newState(): MirrorState {
  return {
    owns: false,
    drift: "",
    tags: [],
    version: "",
    asked: "",
    askedAtMs: -Infinity,
    waitingSinceMs: undefined,
    timer: undefined,
  };
}

function take(state: MirrorState, seen: Seen): void {
  if (seen.kind === "gone") {
    if (!state.owns) return; // this mirror has published nothing into it
    state.drift = GONE;
    state.tags = [];
  } else {
    state.owns = seen.owns;
    state.drift = seen.drift.length === 0 ? "" : JSON.stringify(seen.drift);
    state.tags = seen.drift.map(({ tag }) => tag);
  }
  if (seen.version !== "") state.version = seen.version;
}
