import { html } from "hono/html";

import type { Health, MirrorStatus } from "../../../daemon/view/view.ts";
import type { Failure } from "../../../errors/error.ts";
import { hrefOf, type Html } from "./parts.ts";
import { type PageClock, moment } from "./times.ts";
import { countOf, displayText, relativeOf } from "./words.ts";

/** What failed, where, what was found, and what to do next. */
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
    ${problemList(failure)} ${foundOf(failure)}
    <p><span class="label">Next</span> ${withCode(failure.next)}</p>
  </div>`;
}

function foundOf({ details: { found } }: Failure): Html | string {
  if (typeof found !== "string" && typeof found !== "number") return "";
  return html`<p>
    <span class="label">Found</span> <code>${displayText(String(found), { maxLength: 300 })}</code>
  </p>`;
}

const PROBLEMS_SHOWN = 20;

/** The problems of a configuration file, each with its line. */
function problemList({ details: { problems } }: Failure): Html | string {
  if (!Array.isArray(problems) || problems.length === 0) return "";
  const shown = (problems as readonly unknown[]).slice(0, PROBLEMS_SHOWN).map(problemOf);
  const more = problems.length - shown.length;
  return html`<ol class="problems">
    ${shown.map(
      ({ where, code, message, next }) =>
        html`<li>
          <code class="where">${where}</code> <code class="code">${code}</code> ${withCode(message)}
          ${next === "" ? "" : html`<span class="quiet">${withCode(next)}</span>`}
        </li>`,
    )}
    ${more > 0 ? html`<li>${countOf(more, "more problem")}: run <code>tagferry validate</code></li>` : ""}
  </ol>`;
}

type ProblemText = Readonly<Record<"where" | "code" | "message" | "next", string>>;

function problemOf(value: unknown): ProblemText {
  const fields = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const text = (name: string): string => (typeof fields[name] === "string" ? displayText(fields[name]) : "");
  return { where: text("where"), code: text("code"), message: text("message"), next: text("next") };
}

/** Text between backticks is shown as code. */
function withCode(text: string): readonly (Html | string)[] {
  return displayText(text)
    .split("`")
    .map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part));
}

/** Why a mirror fails or waits: in words, with the failure of its last attempt or run. */
export function reasonOf(mirror: MirrorStatus): Html {
  const { failure, reason, states, retrying } = mirror;
  const why = retrying ? retryWords(mirror) : failure ? undefined : reason;
  const tone = states.includes("failing") ? "bad" : "warn";
  return html`${
    why === undefined
      ? ""
      : html`<div class="failure is-${tone}">
          <p><span class="label">${retrying ? "Trying again" : "Why"}</span> ${withCode(why)}</p>
        </div>`
  }${failure ? failureBox(failure) : ""}`;
}

/** Which attempt failed, and when the next one comes. */
export function retryWords({ retrying }: MirrorStatus): string {
  if (!retrying) return "";
  const { attempt, nextAt, tag } = retrying;
  const of = tag === undefined ? "" : ` of ${displayText(tag)}`;
  return `attempt ${attempt}${of} failed, the next one is ${relativeOf(nextAt, new Date())}`;
}

/** Failures with the same code and the same advice. */
export type FailureCause = { readonly failure: Failure; readonly tags: readonly string[] };

/** The most frequent cause first. */
export function causesOf(
  tags: readonly { readonly tag: string; readonly failure?: Failure | undefined }[],
): readonly FailureCause[] {
  const causes = new Map<string, { readonly failure: Failure; readonly tags: string[] }>();
  for (const { tag, failure } of tags) {
    if (!failure) continue;
    const key = `${failure.code} ${failure.next}`;
    const cause = causes.get(key) ?? { failure, tags: [] };
    cause.tags.push(tag);
    causes.set(key, cause);
  }
  return [...causes.values()].toSorted((one, other) => other.tags.length - one.tags.length);
}

const TAGS_NAMED = 12;

/** One box for each cause, with the tags that it concerns. */
export function causeList(mirror: string, causes: readonly FailureCause[]): Html {
  return html`${causes.map(({ failure, tags }) => {
    const [only, ...others] = tags;
    if (only !== undefined && others.length === 0) return failureBox(failure, { tag: only });
    const more = tags.length - TAGS_NAMED;
    return html`<div class="cause">
      <p class="cause-head">${countOf(tags.length, "tag")} failed for one reason</p>
      <p class="cause-tags">
        ${tags
          .slice(0, TAGS_NAMED)
          .map(
            (tag) =>
              html`<a href="${hrefOf(mirror)}?q=${encodeURIComponent(tag)}#tags"
                ><code>${displayText(tag)}</code></a
              > `,
          )}
        ${more > 0 ? html`<a href="${hrefOf(mirror)}?only=failed#tags">and ${more} more</a>` : ""}
      </p>
      ${failureBox(failure)}
    </div>`;
  })}`;
}

/** Problems of the daemon, at the top of each page. */
export function banners({ config, redis, reasons }: Health): Html {
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
