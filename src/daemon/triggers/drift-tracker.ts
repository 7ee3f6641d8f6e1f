import { isTagferryError } from "../../errors/error.ts";
import type { Log } from "../../lib/log.ts";
import type { Drift } from "../../sync/targets/stream-drift.ts";
import type { Scheduler } from "./scheduler.ts";

export type DriftTrackerOptions = {
  readonly requestCheck: Scheduler["requestCheck"];
  readonly log: Log;
  readonly now: () => Date;
  /** A stream is looked at when it was left alone for so long: we change it ourselves, in steps. */
  readonly settleMs?: number;
  /** Its streams make a mirror due no more often than this. */
  readonly restMs?: number;
};

/**
 * Remembers how mirrors find their streams, and asks for a check when somebody else changed one. The same change is asked
 * about once: what the check leaves as it is (a contested tag, a paused mirror) is not asked about again.
 */
export type DriftTracker = Disposable & {
  note(
    mirror: string,
    seen: { readonly drift: readonly Drift[]; readonly owns: boolean; readonly version: string },
  ): void;
  /** Its stream is not there (any more). */
  gone(mirror: string, version: string): void;
};

type MirrorState = {
  owns: boolean;
  /** What is not as it was published; empty when all is well. */
  drift: string;
  tags: readonly string[];
  /** Of the stream, when it was seen so. */
  version: string;
  /** The drift that a check was asked for. */
  asked: string;
  askedAtMs: number;
  timer: NodeJS.Timeout | undefined;
};

const GONE = "the stream is gone";

export function openDriftTracker({
  requestCheck,
  log,
  settleMs = 3_000,
  restMs = 60_000,
}: DriftTrackerOptions): DriftTracker {
  const known = new Map<string, MirrorState>();

  function stateOf(mirror: string): MirrorState {
    const state = known.get(mirror);
    if (state) return state;
    const fresh: MirrorState = {
      owns: false,
      drift: "",
      tags: [],
      version: "",
      asked: "",
      askedAtMs: -Infinity,
      timer: undefined,
    };
    known.set(mirror, fresh);
    return fresh;
  }

  function lookLater(mirror: string, state: MirrorState, afterMs: number): void {
    clearTimeout(state.timer);
    state.timer = setTimeout(() => look(mirror, state), afterMs).unref();
  }

  function look(mirror: string, state: MirrorState): void {
    if (state.drift === "") state.asked = "";
    if (state.drift === state.asked) return;
    const restedMs = performance.now() - state.askedAtMs;
    if (restedMs < restMs) return lookLater(mirror, state, restMs - restedMs);
    state.asked = state.drift;
    state.askedAtMs = performance.now();
    log.info(
      { mirror, tags: state.tags },
      `somebody else changed the stream of ${mirror}: the mirror is checked`,
    );
    requestCheck(mirror, "stream", { occasion: `stream-${state.version}` }).catch((error: unknown) => {
      // what Redis could not take is sent again
      if (!isTagferryError(error, "QUEUE_AWAY"))
        log.error({ err: error, mirror }, `${mirror} cannot be made due`);
    });
  }

  return {
    note(mirror, { drift, owns, version }) {
      const state = stateOf(mirror);
      state.owns = owns;
      state.drift = drift.length === 0 ? "" : JSON.stringify(drift);
      state.tags = drift.map(({ tag }) => tag);
      state.version = version;
      lookLater(mirror, state, settleMs);
    },
    gone(mirror, version) {
      const state = stateOf(mirror);
      if (!state.owns) return; // it was never filled, or a stranger's
      state.drift = GONE;
      state.tags = [];
      state.version = version;
      lookLater(mirror, state, settleMs);
    },
    [Symbol.dispose]() {
      for (const { timer } of known.values()) clearTimeout(timer);
    },
  };
}
