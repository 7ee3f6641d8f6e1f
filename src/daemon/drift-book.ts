import { isSyncError } from "../lib/error.ts";
import type { Log } from "../lib/log.ts";
import type { Drift } from "../sync/drift.ts";
import type { Scheduler } from "./schedule.ts";

export type DriftBookOptions = {
  readonly demand: Scheduler["demand"];
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
export type DriftBook = Disposable & {
  note(
    mirror: string,
    seen: { readonly drift: readonly Drift[]; readonly owns: boolean; readonly version: string },
  ): void;
  /** Its stream is not there (any more). */
  gone(mirror: string, version: string): void;
};

type Page = {
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

export function openDriftBook({
  demand,
  log,
  settleMs = 3_000,
  restMs = 60_000,
}: DriftBookOptions): DriftBook {
  const pages = new Map<string, Page>();

  function pageOf(mirror: string): Page {
    const known = pages.get(mirror);
    if (known) return known;
    const page: Page = {
      owns: false,
      drift: "",
      tags: [],
      version: "",
      asked: "",
      askedAtMs: -Infinity,
      timer: undefined,
    };
    pages.set(mirror, page);
    return page;
  }

  function lookLater(mirror: string, page: Page, afterMs: number): void {
    clearTimeout(page.timer);
    page.timer = setTimeout(() => look(mirror, page), afterMs).unref();
  }

  function look(mirror: string, page: Page): void {
    if (page.drift === "") page.asked = "";
    if (page.drift === page.asked) return;
    const restedMs = performance.now() - page.askedAtMs;
    if (restedMs < restMs) return lookLater(mirror, page, restMs - restedMs);
    page.asked = page.drift;
    page.askedAtMs = performance.now();
    log.info({ mirror, tags: page.tags }, `somebody else changed the stream of ${mirror}: it is checked`);
    demand(mirror, "stream", { occasion: `stream-${page.version}` }).catch((error: unknown) => {
      // what Redis could not take is sent again
      if (!isSyncError(error, "QUEUE_AWAY"))
        log.error({ err: error, mirror }, `${mirror} cannot be made due`);
    });
  }

  return {
    note(mirror, { drift, owns, version }) {
      const page = pageOf(mirror);
      page.owns = owns;
      page.drift = drift.length === 0 ? "" : JSON.stringify(drift);
      page.tags = drift.map(({ tag }) => tag);
      page.version = version;
      lookLater(mirror, page, settleMs);
    },
    gone(mirror, version) {
      const page = pageOf(mirror);
      if (!page.owns) return; // it was never filled, or a stranger's
      page.drift = GONE;
      page.tags = [];
      page.version = version;
      lookLater(mirror, page, settleMs);
    },
    [Symbol.dispose]() {
      for (const { timer } of pages.values()) clearTimeout(timer);
    },
  };
}
