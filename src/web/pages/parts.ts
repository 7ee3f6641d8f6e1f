import { html } from "hono/html";

import type { Health, MirrorState, MirrorStatus } from "../../daemon/view/view.ts";
import type { Failure } from "../../errors/error.ts";
import type { ActionName } from "../api/act.ts";
import type { Assets } from "../assets.ts";
import { absoluteOf, bytesOf, displayText, relativeOf } from "./words.ts";

/** A part of a page. All text in it is escaped. */
export type Html = ReturnType<typeof html>;

export type PageDocument = {
  readonly title: string;
  readonly assets: Assets;
  readonly health?: Health;
  /** Whether there is a session, so that the page shows a logout button. */
  readonly session?: boolean;
  /** Whether the page updates itself. */
  readonly live?: boolean;
  readonly body: Html;
};

export function pageDocument({
  title,
  assets,
  health,
  session = false,
  live = false,
  body,
}: PageDocument): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title} · Tagferry</title>
        <link rel="icon" href="${assets.href("icon.svg")}" type="image/svg+xml" />
        <link rel="stylesheet" href="${assets.href("page.css")}" />
        ${live ? html`<script type="module" src="${assets.href("page.js")}"></script>` : ""}
      </head>
      <body>
        <header class="top">
          <a class="brand" href="/"
            ><img src="${assets.href("icon.svg")}" alt="" width="28" height="28" />Tagferry</a
          >
          <span class="quiet">${health ? displayText(health.version) : ""}</span>
          <span class="space"></span>
          ${live ? html`<span class="live" id="live" hidden>live</span>` : ""}
          ${
            session
              ? html`<form method="post" action="/logout"><button class="plain">Log out</button></form>`
              : ""
          }
        </header>
        ${live ? html`<p class="said" id="said" role="status"></p>` : ""}
        <main id="main">${body}</main>
      </body>
    </html>`;
}

/** A part of the page, or a note that it cannot be shown. One invalid record must not break the whole page. */
export function partOf(name: string, render: () => Html): Html {
  try {
    return render();
  } catch {
    return html`<p class="bad">
      ${displayText(name)} cannot be shown: what is stored of it is not readable.
    </p>`;
  }
}

/** Problems of the daemon, at the top of each page. */
export function banners(health: Health): Html {
  const { config, redis, reasons } = health;
  const others = reasons.filter((reason) => !reason.startsWith("redis"));
  return html`${
    config.failure
      ? html`<section class="banner is-failing" id="config-banner" aria-label="Configuration">
          <h2>The configuration on disk is broken</h2>
          <p>The previous configuration stays in force. Later changes have no effect.</p>
          ${failureBox(config.failure)}
        </section>`
      : ""
  }${
    redis && redis.kind !== "up"
      ? html`<section class="banner is-failing" id="redis-banner" aria-label="Redis">
          <h2>${redis.kind === "away" ? "Redis is away" : "Redis cannot be used"}</h2>
          <p>${displayText(redis.reason)}. Mirrors that become due are checked when Redis is back.</p>
        </section>`
      : ""
  }${
    others.length > 0
      ? html`<section class="banner is-late" aria-label="Readiness">
          <h2>Takes no new work</h2>
          <p>${others.map((reason) => displayText(reason)).join("; ")}</p>
        </section>`
      : ""
  }`;
}

export function badge(state: MirrorState | "done" | "partial" | "failed"): Html {
  return html`<span class="badge is-${state}">${state}</span>`;
}

export type PageClock = { readonly now: Date; readonly timeZone: string };

export function clockOf(mirror: MirrorStatus | undefined): PageClock {
  return { now: new Date(), timeZone: mirror?.schedule?.timeZone ?? "UTC" };
}

/** A time, relative and absolute. */
export function moment(iso: string | undefined, clock: PageClock): Html {
  if (iso === undefined) return html`<span class="quiet">never</span>`;
  return html`<time datetime="${iso}"
    >${relativeOf(iso, clock.now)} <span class="quiet">${absoluteOf(iso, clock)}</span></time
  >`;
}

/** A time, relative; the absolute time is in the title. */
export function shortMoment(iso: string, clock: PageClock): Html {
  return html`<time datetime="${iso}" title="${absoluteOf(iso, clock)}">${relativeOf(iso, clock.now)}</time>`;
}

/** A shortened digest; the full digest is in the title. */
export function digestHtml(digest: string): Html {
  const [algorithm = "", hex = ""] = digest.split(":");
  return html`<code class="digest" title="${displayText(digest)}"
    >${algorithm === "sha256" ? "" : `${algorithm}:`}${displayText(hex.slice(0, 12))}</code
  >`;
}

/** What failed, where, and what to do next. */
export function failureBox(
  failure: Failure,
  { tag, tone = "bad" }: { readonly tag?: string; readonly tone?: "bad" | "warn" } = {},
): Html {
  const { where } = failure.details;
  return html`<div class="failure is-${tone}">
    <p>
      ${tag === undefined ? "" : html`<code class="tag">${displayText(tag)}</code> `}<code class="code"
        >${failure.code}</code
      >
      ${withCode(failure.message)}
    </p>
    ${typeof where === "string" ? html`<p class="where">at <code>${displayText(where)}</code></p>` : ""}
    <p><span class="label">Next</span> ${withCode(failure.next)}</p>
  </div>`;
}

/** Text between backticks is shown as code. */
function withCode(text: string): readonly (Html | string)[] {
  return displayText(text)
    .split("`")
    .map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part));
}

/** Why a mirror fails or waits: in words, with the failure of its last run. */
export function reasonOf({ failure, reason, state }: MirrorStatus): Html {
  const tone = state === "failing" ? "bad" : "warn";
  return html`${
    reason === undefined
      ? ""
      : html`<div class="failure is-${tone}">
          <p><span class="label">Why</span> ${withCode(reason)}</p>
        </div>`
  }${failure ? failureBox(failure) : ""}`;
}

export function progressList(mirror: MirrorStatus): Html {
  if (mirror.underWay.length === 0) return html``;
  return html`<ul class="under-way" aria-label="Under way">
    ${mirror.underWay.map(({ tag, bytes, totalBytes, bytesPerSecond }) => {
      const part = totalBytes ? Math.min(100, Math.floor((bytes / totalBytes) * 100)) : undefined;
      return html`<li>
        <code class="tag">${displayText(tag)}</code>
        <progress
          aria-label="${displayText(tag)}"
          max="100"
          ${part === undefined ? "" : html`value="${part}"`}
        ></progress>
        <span class="amount"
          >${part === undefined ? "" : `${part} % · `}${bytesOf(bytes)}${totalBytes ? ` of ${bytesOf(totalBytes)}` : ""}
          · ${bytesOf(bytesPerSecond)}/s</span
        >
      </li>`;
    })}
  </ul>`;
}

const ACTION_WORDS: Readonly<Record<ActionName, string>> = {
  sync: "Sync now",
  pause: "Pause",
  resume: "Resume",
  retry: "Retry",
};

/** Buttons as plain forms. The script sends them without a page load. None for callers who may only read. */
export function actions(
  mirror: MirrorStatus,
  { back, mayAct }: { readonly back: string; readonly mayAct: boolean },
): Html {
  if (!mayAct) return html``;
  const offered: readonly ActionName[] = [
    ...(mirror.quarantined.length > 0 ? (["retry"] as const) : []),
    ...(mirror.pausedAt === undefined ? (["sync", "pause"] as const) : (["resume"] as const)),
  ];
  return html`<div class="actions">
    ${offered.map(
      (action) =>
        html`<form method="post" action="${hrefOf(mirror.name)}/${action}" data-act>
          <input type="hidden" name="back" value="${back}" />
          <button class="${action === "retry" || action === "resume" ? "first" : "plain"}">
            ${ACTION_WORDS[action]}<span class="unseen"> ${displayText(mirror.name)}</span>
          </button>
        </form>`,
    )}
  </div>`;
}

export function hrefOf(mirror: string): string {
  return `/mirrors/${encodeURIComponent(mirror)}`;
}

export function quarantineBox({ quarantined }: MirrorStatus, clock: PageClock): Html {
  if (quarantined.length === 0) return html``;
  return html`<div class="quarantine">
    <p>Workers crashed on these tags three times. They are not tried again until you press Retry.</p>
    <ul>
      ${quarantined.map(
        ({ tag, key, since, crashes }) =>
          html`<li>
            <code class="tag">${displayText(tag ?? key)}</code> ${crashes} times, since
            ${moment(since, clock)}
          </li>`,
      )}
    </ul>
  </div>`;
}

/** Source and target. */
export function route({ source, target }: MirrorStatus): Html {
  return html`<p class="route">
    <code>${displayText(source)}</code> <span class="arrow" aria-hidden="true">→</span
    ><span class="unseen">to</span>
    <code>${displayText(target)}</code>
  </p>`;
}

export function fact(name: string, value: Html | string): Html {
  return html`<div>
    <dt>${name}</dt>
    <dd>${value}</dd>
  </div>`;
}

/** A table cell with its own label, because a phone shows no columns. */
export function cell(label: string, content: Html | string): Html {
  return html`<td data-label="${label}"><div>${content}</div></td>`;
}

export type Paging = {
  readonly page: number;
  readonly pages: number;
  readonly href: (page: number) => string;
};

export function pager({ page, pages, href }: Paging): Html {
  if (pages <= 1) return html``;
  return html`<nav class="pager" aria-label="Pages">
    ${page > 1 ? html`<a href="${href(page - 1)}" rel="prev">Previous</a>` : ""}
    <span>Page ${page} of ${pages}</span>
    ${page < pages ? html`<a href="${href(page + 1)}" rel="next">Next</a>` : ""}
  </nav>`;
}
