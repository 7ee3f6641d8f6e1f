import { html, raw } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";

import type { Run, TagRecord } from "../daemon/record.ts";
import type { Health, MirrorDetail, MirrorStatus } from "../daemon/view.ts";
import type { Failure } from "../lib/error.ts";
import { absolute, bytes, duration, relative, shortDigest } from "./format.ts";

type Html = HtmlEscapedString | Promise<HtmlEscapedString>;
type Page = { readonly health: Health; readonly now: Date; readonly isGuarded: boolean };

/** The states in the order of how much they want to be looked at. */
const ORDER: readonly MirrorStatus["state"][] = [
  "quarantined",
  "failing",
  "late",
  "running",
  "waiting",
  "paused",
  "fresh",
];

export function overviewPage(mirrors: readonly MirrorStatus[], page: Page): Html {
  const sorted = mirrors.toSorted(
    (one, other) =>
      ORDER.indexOf(one.state) - ORDER.indexOf(other.state) || one.name.localeCompare(other.name),
  );
  return frame(
    "Mirrors",
    page,
    html`<h1>Mirrors</h1>
      ${summary(mirrors)}
      ${
        sorted.length === 0
          ? html`<p>There are no mirrors.</p>`
          : html`<ul class="mirrors">
              ${sorted.map((mirror) => card(mirror, page))}
            </ul>`
      }
      ${machinery(page)}`,
  );
}

export function detailPage({ mirror, tags, runs }: MirrorDetail, page: Page): Html {
  const sorted = tags.toSorted(
    (one, other) =>
      Number(Boolean(other.failure)) - Number(Boolean(one.failure)) ||
      other.tag.localeCompare(one.tag, "en", { numeric: true }),
  );
  return frame(
    mirror.name,
    page,
    html`<p><a href="/">All mirrors</a></p>
      <h1>${mirror.name} ${badge(mirror.state)}</h1>
      ${facts(mirror, page)} ${buttons(mirror)} ${mirror.underWay.map(progressBar)}
      ${mirror.failure ? failureBox(mirror.failure) : ""}
      ${mirror.quarantined.map(
        ({ tag, crashes, since }) =>
          html`<p class="failure">
            ${tag ?? "The check"} ended its worker ${crashes} times and is left alone since
            ${absolute(since)}. Look at the workers' memory and logs, then press “Retry”.
          </p>`,
      )}
      <h2>Tags</h2>
      ${sorted.length === 0 ? html`<p>None has been seen yet.</p>` : tagTable(sorted, mirror, page)}
      <h2>Runs</h2>
      ${runs.length === 0 ? html`<p>None has ended yet.</p>` : runTable(runs, page)}`,
  );
}

export function loginPage({ failed }: { readonly failed: boolean }): Html {
  return document(
    "Log in",
    html`<main class="login">
      <h1>Tagferry</h1>
      ${failed ? html`<p class="failure" role="alert">That is not the token.</p>` : ""}
      <form method="post" action="/login">
        <label for="token">Token</label>
        <input id="token" name="token" type="password" autocomplete="current-password" required />
        <button>Log in</button>
      </form>
      <p class="quiet">The token stands in the file that <code>daemon.tokenFile</code> names.</p>
    </main>`,
  );
}

export function messagePage(title: string, message: string): Html {
  return document(
    title,
    html`<main class="login">
      <h1>${title}</h1>
      <p>${message}</p>
      <p><a href="/">All mirrors</a></p>
    </main>`,
  );
}

function frame(title: string, { health, isGuarded }: Page, content: Html): Html {
  return document(
    title,
    html`<header>
        <a class="brand" href="/">Tagferry</a>
        <span class="quiet">${health.version}</span>
        <span id="live" class="quiet" role="status"></span>
        ${
          isGuarded
            ? html`<form method="post" action="/logout"><button class="plain">Log out</button></form>`
            : ""
        }
      </header>
      <main id="content">${banners(health)} ${content}</main>`,
  );
}

function document(title: string, content: Html): Html {
  return html`${raw("<!doctype html>")}
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title} – Tagferry</title>
        <link rel="stylesheet" href="/assets/page.css" />
        <link rel="icon" href="/assets/icon.svg" />
        <script src="/assets/page.js" defer></script>
      </head>
      <body>
        ${content}
      </body>
    </html>`;
}

function banners({ config, redis, reasons }: Health): Html {
  return html`${
    config.failure
      ? html`<section class="banner" role="alert">
          <strong>The configuration file is broken.</strong> The one read on ${absolute(config.loadedAt)}
          stays in force. ${config.failure.code}: ${config.failure.message} ${config.failure.next}
        </section>`
      : ""
  }
  ${
    redis && redis.kind !== "up"
      ? html`<section class="banner" role="alert">
          <strong>Redis is ${redis.kind === "away" ? "away" : "not fit"}.</strong> ${redis.reason} Mirrors
          that are due are checked when it is well again.
        </section>`
      : ""
  }
  ${
    reasons.includes("stopping")
      ? html`<section class="banner">This process is stopping; it takes no new work.</section>`
      : ""
  }`;
}

function summary(mirrors: readonly MirrorStatus[]): Html {
  const counts = Map.groupBy(mirrors, ({ state }) => state);
  const tags = mirrors.reduce((sum, mirror) => sum + mirror.tags, 0);
  return html`<p class="summary">
    ${mirrors.length} mirrors, ${tags} tags:
    ${ORDER.flatMap((state) => {
      const count = counts.get(state)?.length ?? 0;
      return count === 0 ? [] : [html`<span class="count">${count} ${badge(state)}</span> `];
    })}
  </p>`;
}

function badge(state: string): Html {
  return html`<span class="badge ${state}">${state}</span>`;
}

function card(mirror: MirrorStatus, page: Page): Html {
  return html`<li class="card ${mirror.state}">
    <h2><a href="/mirrors/${encodeURIComponent(mirror.name)}">${mirror.name}</a> ${badge(mirror.state)}</h2>
    <p class="route">
      <span>${mirror.source}</span> <span aria-label="to">→</span> <span>${mirror.target}</span>
    </p>
    <p>
      ${mirror.tags}
      ${mirror.tags === 1 ? "tag" : "tags"}${
        mirror.failedTags > 0 ? html`, <strong class="bad">${mirror.failedTags} failed</strong>` : ""
      }
      · last good run ${time(mirror.lastSuccessAt, page.now)} · next ${next(mirror, page.now)}
    </p>
    ${mirror.underWay.map(progressBar)}
    ${mirror.failure ? html`<p class="failure">${mirror.failure.code}: ${mirror.failure.message}</p>` : ""}
  </li>`;
}

function next({ pausedAt, pausedBy, nextRunAt, schedule }: MirrorStatus, now: Date): Html {
  if (pausedAt !== undefined) return html`never: paused ${time(pausedAt, now)} by ${pausedBy ?? "somebody"}`;
  return schedule ? time(nextRunAt, now) : html`only when asked`;
}

function time(iso: string | undefined, now: Date): Html {
  return iso === undefined
    ? html`never`
    : html`<time datetime="${iso}" title="${absolute(iso)}">${relative(iso, now)}</time>`;
}

function facts(mirror: MirrorStatus, { now }: Page): Html {
  const { schedule } = mirror;
  const rows: readonly (readonly [string, Html | string])[] = [
    ["Source", mirror.source],
    ["Target", mirror.target],
    ...(mirror.storage === undefined ? [] : [["Bytes live in", mirror.storage] as const]),
    ["Schedule", schedule ? `${schedule.cron} (${schedule.timeZone})` : "only when asked"],
    ["Last run", html`${time(mirror.lastRunAt, now)} ${mirror.lastRunAt ? absolute(mirror.lastRunAt) : ""}`],
    ["Last good run", html`${time(mirror.lastSuccessAt, now)}`],
    ["Next run", next(mirror, now)],
    ...(mirror.latenessS > 0 ? [["Late by", duration(mirror.latenessS)] as const] : []),
  ];
  return html`<dl>
    ${rows.map(
      ([name, value]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>`,
    )}
  </dl>`;
}

function buttons({ name, pausedAt, quarantined }: MirrorStatus): Html {
  const action = (what: string, label: string): Html =>
    html`<form method="post" action="/mirrors/${encodeURIComponent(name)}/${what}">
      <button>${label}</button>
    </form>`;
  return html`<div class="actions">
    ${action("sync", "Sync now")}
    ${pausedAt === undefined ? action("pause", "Pause") : action("resume", "Resume")}
    ${quarantined.length > 0 ? action("retry", "Retry") : ""}
  </div>`;
}

function progressBar({
  tag,
  bytes: sent,
  totalBytes,
  bytesPerSecond,
}: MirrorStatus["underWay"][number]): Html {
  const label = `${tag}: ${bytes(sent)}${totalBytes === undefined ? "" : ` of ${bytes(totalBytes)}`}, ${bytes(bytesPerSecond)}/s`;
  return html`<p class="progress">
    <progress aria-label="${label}" value="${sent}" max="${Math.max(totalBytes ?? sent, sent, 1)}"></progress>
    <span>${label}</span>
  </p>`;
}

function failureBox({ code, message, next: advice }: Failure): Html {
  return html`<section class="failure"><strong>${code}</strong> ${message}<br />${advice}</section>`;
}

function tagTable(tags: readonly TagRecord[], mirror: MirrorStatus, { now }: Page): Html {
  return html`<table>
    <thead>
      <tr>
        <th scope="col">Tag</th>
        <th scope="col">Digest</th>
        <th scope="col">Published</th>
        <th scope="col">Last check</th>
      </tr>
    </thead>
    <tbody>
      ${tags.map(
        ({ tag, digest, publishedAt, checkedAt, last, failure, history }) =>
          html`<tr>
            <th scope="row" data-label="Tag">
              ${tag}<br /><span class="quiet">${mirror.source}:${tag}</span>
            </th>
            <td data-label="Digest">
              ${digest === undefined ? "none" : html`<code title="${digest}">${shortDigest(digest)}</code>`}
              ${
                history.length > 1
                  ? html`<details>
                      <summary>${history.length - 1} before</summary>
                      <ol>
                        ${history.slice(1).map(
                          (one) =>
                            html`<li>
                              <code title="${one.digest}">${shortDigest(one.digest)}</code>
                              ${absolute(one.at)}
                            </li>`,
                        )}
                      </ol>
                    </details>`
                  : ""
              }
            </td>
            <td data-label="Published">${time(publishedAt, now)}</td>
            <td data-label="Last check">
              ${last} ${time(checkedAt, now)} ${failure ? failureBox(failure) : ""}
            </td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

function runTable(runs: readonly Run[], { now }: Page): Html {
  return html`<table>
    <thead>
      <tr>
        <th scope="col">Started</th>
        <th scope="col">Why</th>
        <th scope="col">State</th>
        <th scope="col">What became of the tags</th>
      </tr>
    </thead>
    <tbody>
      ${runs.map(
        ({ startedAt, cause, state, outcomes, failure }) =>
          html`<tr>
            <th scope="row" data-label="Started">
              ${time(startedAt, now)} <span class="quiet">${absolute(startedAt)}</span>
            </th>
            <td data-label="Why">${cause}</td>
            <td data-label="State"><span class="badge run-${state}">${state}</span></td>
            <td data-label="Tags">
              ${
                failure
                  ? `${failure.code}: ${failure.message}`
                  : [...Map.groupBy(outcomes, ({ kind }) => kind)]
                      .map(([kind, all]) => `${all.length} ${kind}`)
                      .join(", ")
              }
            </td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

function machinery({ health, now }: Page): Html {
  const { jobs, redis, config, allowances, workers } = health;
  const rows: readonly (readonly [string, string | Html])[] = [
    [
      "Queue",
      jobs
        ? `${jobs.active} under way, ${jobs.waiting} waiting, ${jobs.delayed} later`
        : "unknown while Redis is away",
    ],
    ["Workers here", `${workers} tags at a time`],
    ["Redis", redis ? redis.kind : "not used: everything is in this process"],
    ["Configuration", html`${config.file}, read ${time(config.loadedAt, now)}`],
    ["Running since", html`${time(health.startedAt, now)}`],
  ];
  return html`<section>
    <h2>Machinery</h2>
    <dl>
      ${rows.map(
        ([name, value]) =>
          html`<div>
            <dt>${name}</dt>
            <dd>${value}</dd>
          </div>`,
      )}
    </dl>
    ${
      allowances.length === 0
        ? ""
        : html`<table>
            <thead>
              <tr>
                <th scope="col">Registry</th>
                <th scope="col">Connections</th>
                <th scope="col">Requests a second</th>
                <th scope="col">Pulls left</th>
              </tr>
            </thead>
            <tbody>
              ${allowances.map(
                (one) =>
                  html`<tr>
                    <th scope="row" data-label="Registry">${one.registry}</th>
                    <td data-label="Connections">${one.inUse} of ${one.connections}</td>
                    <td data-label="Requests a second">${one.requestsPerSecond ?? "as it answers"}</td>
                    <td data-label="Pulls left">${one.pullsLeft ?? "not told"}</td>
                  </tr>`,
              )}
            </tbody>
          </table>`
    }
  </section>`;
}
