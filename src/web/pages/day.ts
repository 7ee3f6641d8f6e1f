import { html, raw } from "hono/html";

import type { HourOfWork } from "../../daemon/records/record-types.ts";
import { fact, type Html } from "./parts/parts.ts";
import { bytesOf, countOf, spanOf } from "./parts/words.ts";

const STEP = 6;
const BAR = 5;
const HEIGHT = 28;

/** Bytes and freshness of the last 24 hours, each as a strip with one bar for each hour. */
export function dayFacts(day: readonly HourOfWork[]): Html {
  const published = day.reduce((sum, hour) => sum + hour.published, 0);
  if (published === 0) return fact("Last 24 hours", "nothing was published");
  const bytes = day.map((hour) => hour.bytes);
  const freshness = day.map(({ freshnessMs = 0 }) => freshnessMs);
  const slowestMs = Math.max(...freshness);
  const sum = bytes.reduce((total, one) => total + one, 0);
  const words = `${countOf(published, "tag")}, ${bytesOf(sum)}`;
  const most = `At most ${bytesOf(Math.max(...bytes))} in an hour`;
  return html`${fact("Last 24 hours", html`${words} ${bars(bytes, most)}`)}
  ${slowestMs === 0 ? "" : fact("From source to target", html`at most ${spanOf(slowestMs)} ${bars(freshness, `At most ${spanOf(slowestMs)}`)}`)}`;
}

function bars(values: readonly number[], title: string): Html {
  const most = Math.max(1, ...values);
  const width = values.length * STEP;
  const shape = values
    .map((value, index) => {
      const height = value === 0 ? 0 : Math.max(1, Math.round((value / most) * HEIGHT));
      return height === 0 ? "" : `M${index * STEP} ${HEIGHT}v-${height}h${BAR}v${height}z`;
    })
    .join("");
  return html`<svg
    class="strip day"
    role="img"
    viewBox="0 0 ${width} ${HEIGHT}"
    width="${width}"
    height="${HEIGHT}"
  >
    <title>${title}</title>
    ${raw(`<path class="ground" d="M0 ${HEIGHT - 1}h${width}v1h-${width}z"/><path class="is-work" d="${shape}"/>`)}
  </svg>`;
}
