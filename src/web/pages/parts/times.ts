import { html } from "hono/html";

import type { MirrorStatus } from "../../../daemon/view/view.ts";
import { never, type Html } from "./parts.ts";
import { absoluteOf, relativeOf, spanOf } from "./words.ts";

/**
 * The time zone is that of the schedule. The script of the page shows the reader's zone instead, and both in the title.
 */
export type PageClock = { readonly now: Date; readonly timeZone: string };

export function clockOf(mirror?: MirrorStatus): PageClock {
  return { now: new Date(), timeZone: mirror?.schedule?.timeZone ?? "UTC" };
}

/** A time, relative and absolute. */
export function moment(iso: string | undefined, clock: PageClock): Html {
  if (iso === undefined) return never();
  const at = absoluteOf(iso, clock);
  return html`<time datetime="${iso}" title="${at}"
    >${relativeOf(iso, clock.now)} <span class="at">${at}</span></time
  >`;
}

/** A time, relative; the absolute time is in the title. */
export function shortMoment(iso: string | undefined, clock: PageClock): Html {
  if (iso === undefined) return never();
  return html`<time datetime="${iso}" title="${absoluteOf(iso, clock)}">${relativeOf(iso, clock.now)}</time>`;
}

/** How long ago it was, without "ago"; the absolute time is in the title. */
export function age(iso: string | undefined, clock: PageClock): Html {
  if (iso === undefined) return never();
  const ageMs = Math.max(0, clock.now.getTime() - Date.parse(iso));
  return html`<time datetime="${iso}" title="${absoluteOf(iso, clock)}">${spanOf(ageMs)}</time>`;
}
