import { html } from "hono/html";

import type { MirrorStatus } from "../../../daemon/view/view.ts";
import type { ActionName } from "../../api/act.ts";
import { hrefOf, type Html } from "./parts.ts";
import { displayText } from "./words.ts";

const WORDS: Readonly<Record<ActionName, string>> = {
  sync: "Sync now",
  pause: "Pause",
  resume: "Resume",
  retry: "Retry",
  cancel: "Cancel run",
};

/** What can be done with a mirror as it is now. */
function offered({ quarantined, pausedAt, run }: MirrorStatus): readonly ActionName[] {
  return [
    ...(quarantined.length > 0 ? (["retry"] as const) : []),
    ...(run ? (["cancel"] as const) : []),
    ...(pausedAt === undefined ? (["sync", "pause"] as const) : (["resume"] as const)),
  ];
}

/** Buttons as plain forms. The script sends them without a page load. None for callers who may only read. */
export function actions(
  mirror: MirrorStatus,
  { back, mayAct }: { readonly back: string; readonly mayAct: boolean },
): Html {
  if (!mayAct) return html``;
  return html`<div class="actions">
    ${offered(mirror).map(
      (action) =>
        html`<form method="post" action="${hrefOf(mirror.name)}/${action}" data-act>
          <input type="hidden" name="back" value="${back}" />
          <button class="${action === "retry" || action === "resume" ? "first" : "plain"}">
            ${WORDS[action]}<span class="unseen"> ${displayText(mirror.name)}</span>
          </button>
        </form>`,
    )}
  </div>`;
}
