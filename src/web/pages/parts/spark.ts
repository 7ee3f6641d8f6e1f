import { html, raw } from "hono/html";

import type { RunMark } from "../../../daemon/records/record-types.ts";
import type { Html } from "./parts.ts";
import { countOf } from "./words.ts";

const RUNS = 20;
const STEP = 4;
const BAR = 3;
const HEIGHT = 16;

/** Worse outcomes are taller, so that they show without colours too. */
const HEIGHTS: Readonly<Record<RunMark["state"], number>> = {
  done: 7,
  cancelled: 4,
  partial: 12,
  failed: 16,
};
const STATES = ["done", "partial", "failed", "cancelled"] as const satisfies readonly RunMark["state"][];

/** The outcomes of the last runs as bars, the newest at the right. One path for each kind of outcome. */
export function runStrip(recent: readonly RunMark[]): Html {
  const runs = recent.slice(0, RUNS);
  if (runs.length === 0) return html`<span class="quiet">none</span>`;
  const width = RUNS * STEP;
  const bars = STATES.flatMap((state) => {
    const shape = runs
      .map((run, age) => ({ run, x: width - (age + 1) * STEP }))
      .filter(({ run }) => run.state === state)
      .map(({ x }) => `M${x} ${HEIGHT}v-${HEIGHTS[state]}h${BAR}v${HEIGHTS[state]}z`);
    return shape.length > 0 ? [`<path class="is-${state}" d="${shape.join("")}"/>`] : [];
  });
  return html`<svg
    class="strip"
    role="img"
    viewBox="0 0 ${width} ${HEIGHT}"
    width="${width}"
    height="${HEIGHT}"
  >
    <title>${stripWords(runs)}</title>
    ${raw(bars.join(""))}
  </svg>`;
}

function stripWords(runs: readonly RunMark[]): string {
  const counts = STATES.map((state) => [state, runs.filter((run) => run.state === state).length] as const);
  const words = counts.filter(([, count]) => count > 0).map(([state, count]) => `${count} ${state}`);
  return `Last ${countOf(runs.length, "run")}: ${words.join(", ")}`;
}
