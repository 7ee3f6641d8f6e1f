import { html } from "hono/html";

import type { Failure } from "../../errors/error.ts";
import { failureBox } from "./parts/failures.ts";
import type { Html } from "./parts/parts.ts";

export type Login = {
  /** The local path to open after the login. */
  readonly to: string;
  /** The token was wrong. */
  readonly wrong?: boolean;
};

export function loginPage({ to, wrong = false }: Login): Html {
  return html`<section class="login">
    <h1>Log in</h1>
    <form method="post" action="/login">
      <input type="hidden" name="to" value="${to}" />
      <input type="text" name="username" value="tagferry" autocomplete="username" hidden />
      <label for="token">Token of this daemon</label>
      <input
        id="token"
        name="token"
        type="password"
        autocomplete="current-password"
        required
        autofocus
        ${wrong ? html`aria-invalid="true" aria-describedby="wrong"` : ""}
      />
      ${wrong ? html`<p id="wrong" class="bad" role="alert">That is not the token.</p>` : ""}
      <button class="first">Log in</button>
    </form>
    <p class="quiet">The token is in the file that <code>daemon.tokenFile</code> names.</p>
  </section>`;
}

export function failurePage(failure: Failure): Html {
  return html`<h1>
      ${failure.code === "MIRROR_UNKNOWN" || failure.code === "WEB_NOT_FOUND" ? "Not found" : "That did not work"}
    </h1>
    ${failureBox(failure)}
    <p class="back"><a href="/">All mirrors</a></p>`;
}
