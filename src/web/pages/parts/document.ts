import { html } from "hono/html";

import type { Health } from "../../../daemon/view/view.ts";
import type { Assets } from "../../assets.ts";
import type { Html } from "./parts.ts";
import { displayText } from "./words.ts";

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
