import { html } from "hono/html";

import type { MirrorState } from "../../../daemon/view/view.ts";
import { displayText } from "./words.ts";

/** A part of a page. All text in it is escaped. */
export type Html = ReturnType<typeof html>;

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

export function badge(state: MirrorState | "done" | "partial" | "failed" | "cancelled"): Html {
  return html`<span class="badge is-${state}">${state}</span>`;
}

export function never(): Html {
  return html`<span class="quiet">never</span>`;
}

/** A shortened digest; the full digest is in the title. */
export function digestHtml(digest: string): Html {
  const [algorithm = "", hex = ""] = digest.split(":");
  return html`<code class="digest" title="${displayText(digest)}"
    >${algorithm === "sha256" ? "" : `${algorithm}:`}${displayText(hex.slice(0, 12))}</code
  >`;
}

export function hrefOf(mirror: string): string {
  return `/mirrors/${encodeURIComponent(mirror)}`;
}

/** Source and target. */
export function route({ source, target }: { readonly source: string; readonly target: string }): Html {
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

/** The head of a table: one column for each name. */
export function head(...columns: readonly string[]): Html {
  return html`<thead>
    <tr>
      ${columns.map((column) => html`<th scope="col">${column}</th>`)}
    </tr>
  </thead>`;
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
