import { type Measured, median } from "./measure.ts";
import type { Tool } from "./tools.ts";

/** One run of one tool in one scenario. */
export type Sample = Measured & {
  readonly scenario: string;
  readonly tool: Tool;
  readonly round: number;
  /** At source and target together, by method; nothing at a layout. */
  readonly requests: Readonly<Record<string, number>>;
};

type Metric = {
  readonly name: string;
  readonly of: (sample: Sample) => number;
  readonly print: (value: number) => string;
};

const METRICS: readonly Metric[] = [
  { name: "wall s", of: ({ wallS }) => wallS, print: (value) => value.toFixed(2) },
  { name: "CPU s", of: ({ cpuS }) => cpuS, print: (value) => value.toFixed(2) },
  { name: "peak RSS MB", of: ({ peakRssBytes }) => peakRssBytes / 1e6, print: (value) => value.toFixed(0) },
  { name: "requests", of: requestsOf, print: (value) => value.toFixed(0) },
];

export function requestsOf({ requests }: Sample): number {
  return Object.values(requests).reduce((sum, count) => sum + count, 0);
}

/**
 * Medians of all rounds beside each other. The ratio is the median of the rounds' ratios: what disturbed the machine in one
 * round disturbed both tools.
 */
export function renderReport(samples: readonly Sample[]): string {
  const rows = [["scenario", "", "tagferry", "skopeo", "ratio"]];
  for (const [scenario, all] of Map.groupBy(samples, (sample) => sample.scenario))
    for (const [position, metric] of METRICS.entries()) {
      const ours = all.filter(({ tool }) => tool === "tagferry");
      const theirs = all.filter(({ tool }) => tool === "skopeo");
      rows.push([
        position === 0 ? scenario : "",
        metric.name,
        cell(ours, metric),
        cell(theirs, metric),
        ratio(ours, theirs, metric),
      ]);
    }
  return rows
    .map((row) =>
      row
        .map((text, column) => pad(text, column, rows))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function cell(samples: readonly Sample[], { of, print }: Metric): string {
  return samples.length === 0 ? "" : print(median(samples.map(of)));
}

function ratio(ours: readonly Sample[], theirs: readonly Sample[], { of }: Metric): string {
  const ratios = ours.flatMap((sample) => {
    const other = theirs.find(({ round }) => round === sample.round);
    return other ? [of(sample) / of(other)] : [];
  });
  return ratios.length === 0 ? "" : median(ratios).toFixed(2);
}

function pad(text: string, column: number, rows: readonly (readonly string[])[]): string {
  const width = Math.max(...rows.map((row) => row[column]?.length ?? 0));
  return column < 2 ? text.padEnd(width) : text.padStart(width);
}
