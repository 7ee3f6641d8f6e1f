import { html } from "hono/html";

import type { TagRecord } from "../../daemon/records/record-types.ts";
import type { MirrorStatus } from "../../daemon/view/view.ts";
import { compareVersions, parseVersion, type Version } from "../../plan/version.ts";
import { cell, digestHtml, head, type Html } from "./parts/parts.ts";
import { clockOf, moment, type PageClock, shortMoment } from "./parts/times.ts";
import { bytesOf, countOf, displayText, numberText, textOf } from "./parts/words.ts";

const NAMES = new Intl.Collator("en", { numeric: true });

/**
 * In the order of versions, the newest first: `latest` and other names, then 1.10, 1.9, 1.9-alpine.
 */
export function sortedTags(tags: readonly TagRecord[]): readonly TagRecord[] {
  const read = tags.map((record) => ({ record, version: parseVersion(textOf(record.tag)) }));
  return read.toSorted(compare).map(({ record }) => record);
}

type Read = { readonly record: TagRecord; readonly version: Version | undefined };

function compare(one: Read, other: Read): number {
  if (one.version && other.version)
    return (
      compareVersions(one.version, other.version) ||
      NAMES.compare(one.version.variant, other.version.variant) ||
      NAMES.compare(one.record.tag, other.record.tag)
    );
  if (one.version || other.version) return one.version ? 1 : -1;
  return NAMES.compare(one.record.tag, other.record.tag);
}

/** `only`: those that failed. `q`: text in the name of the tag or in its digest. */
export function fittingTags(
  tags: readonly TagRecord[],
  { q, only }: { readonly q: string; readonly only: string | undefined },
): readonly TagRecord[] {
  const text = q.toLowerCase();
  return tags.filter(
    ({ tag, digest = "", failure }) =>
      (only !== "failed" || failure !== undefined) &&
      (textOf(tag).toLowerCase().includes(text) || textOf(digest).includes(text)),
  );
}

export function tagTable(tags: readonly TagRecord[], mirror: MirrorStatus): Html {
  const clock = clockOf(mirror);
  return html`<table class="tags">
    <caption class="unseen">
      Tags of ${displayText(mirror.name)}
    </caption>
    ${head("Tag", "Digest", "Size", "Platforms", "Signatures", "Published", "Last check", "History")}
    <tbody>
      ${tags.map((tag) => tagRowOrNote(tag, mirror, clock))}
    </tbody>
  </table>`;
}

/** One row, or a note in a row: a table cannot contain a paragraph. */
function tagRowOrNote(record: TagRecord, mirror: MirrorStatus, clock: PageClock): Html {
  try {
    return tagRow(record, mirror, clock);
  } catch {
    return html`<tr>
      <td colspan="8" class="bad">
        ${displayText(record.tag)} cannot be shown: what is stored of it is not readable.
      </td>
    </tr>`;
  }
}

function tagRow(record: TagRecord, mirror: MirrorStatus, clock: PageClock): Html {
  const { tag, digest, checkedAt, last, failure, history, image } = record;
  const { platforms = [] } = image ?? {};
  return html`<tr id="t-${displayText(tag)}" class="${failure ? "is-failing" : ""}">
    <th scope="row" data-label="Tag">
      <code class="tag">${displayText(tag)}</code>
      <span class="source">from ${displayText(`${mirror.source}:${tag}`)}</span>
      ${pullSpec(mirror, tag)}
    </th>
    ${cell("Digest", digest === undefined ? html`<span class="quiet">not published</span>` : digestHtml(digest))}
    ${cell("Size", image ? bytesOf(image.bytes) : unknown())}
    ${cell("Platforms", image ? html`<span title="${displayText(platforms.join(", "))}">${platformWords(platforms)}</span>` : unknown())}
    ${cell("Signatures", image ? signatureWords(image.referrers) : unknown())}
    ${cell("Published", publishedWords(record, clock))}
    ${cell("Last check", html`<span class="outcome is-${last}">${last}</span> ${shortMoment(checkedAt, clock)}${failureLine(record)}`)}
    ${cell("History", historyOf(history, { clock, key: tag }))}
  </tr>`;
}

const unknown = (): Html =>
  html`<span class="quiet" title="It is known after the next copy or verification">–</span>`;

const PLATFORMS_SHOWN = 2;

function platformWords(platforms: readonly string[]): string {
  const shown = platforms
    .slice(0, PLATFORMS_SHOWN)
    .map((platform) => displayText(platform.replace(/^linux\//, "")));
  const more = platforms.length - shown.length;
  return `${shown.join(", ")}${more > 0 ? ` +${more}` : ""}` || "–";
}

function signatureWords(referrers: number | undefined): Html | string {
  if (referrers === undefined) return unknown();
  return referrers === 0 ? html`<span class="quiet">none</span>` : numberText(referrers);
}

/** A tag that was found in place was published by an earlier process, or by somebody else. */
function publishedWords({ publishedAt, digest, history }: TagRecord, clock: PageClock): Html {
  if (publishedAt !== undefined) return moment(publishedAt, clock);
  const found = history.at(-1)?.at;
  if (digest === undefined || found === undefined) return html`<span class="quiet">not yet</span>`;
  return html`<span class="quiet">before</span> ${shortMoment(found, clock)}`;
}

function failureLine({ failure }: TagRecord): Html | string {
  if (!failure) return "";
  return html`<span class="line bad-line" title="${displayText(failure.message)}">${failure.code}</span>`;
}

/** What `podman pull` takes. The script adds a button that copies it. */
function pullSpec({ pullFrom }: MirrorStatus, tag: string): Html | string {
  if (pullFrom === undefined) return "";
  const spec = displayText(`${pullFrom}:${tag}`);
  return html`<span class="pull"><code data-copy>${spec}</code></span>`;
}

function historyOf(
  history: TagRecord["history"],
  { clock, key }: { readonly clock: PageClock; readonly key: string },
): Html {
  if (history.length === 0) return html`<span class="quiet">none</span>`;
  return html`<details id="h-${displayText(key)}">
    <summary>${countOf(history.length, "digest")}</summary>
    <ol class="history">
      ${history.map(({ digest, at }) => html`<li>${digestHtml(digest)} ${moment(at, clock)}</li>`)}
    </ol>
  </details>`;
}
