import { NAMES, numberOf } from "./inject/catalogue.ts";
import type { ScenarioResult } from "./runner.ts";

/** The results of many scenarios, as text. */
export function renderResults(results: readonly ScenarioResult[]): string {
  return ["", renderFaults(results), "", renderSum(results)].join("\n");
}

function renderFaults(results: readonly ScenarioResult[]): string {
  const lines = NAMES.map((name) => {
    const count = results.reduce((sum, { faults }) => sum + (faults.get(name) ?? 0), 0);
    const within = results.filter(({ faults }) => faults.has(name)).length;
    return `${String(numberOf(name)).padStart(3)}  ${name.padEnd(58)} ${String(count).padStart(7)} in ${within} scenarios`;
  });
  return ["faults by kind:", ...lines].join("\n");
}

export function renderBroken({ number, mode, way, violations, replay, ledger }: ScenarioResult): string {
  const shown = violations
    .slice(0, 4)
    .map(({ kind, when, what }) => `   ${kind} ${when}: ${what.slice(0, 400)}`);
  const more = violations.length > shown.length ? [`   and ${violations.length - shown.length} more`] : [];
  return [
    `scenario ${number} (${mode}, ${way}):`,
    ...shown,
    ...more,
    `   replay: ${replay}`,
    `   ledger: ${ledger ?? "none"}`,
  ].join("\n");
}

function renderSum(results: readonly ScenarioResult[]): string {
  const sum = (count: (result: ScenarioResult) => number): number =>
    results.reduce((total, result) => total + count(result), 0);
  const faults = sum((result) => [...result.faults.values()].reduce((total, count) => total + count, 0));
  const kinds = new Map<string, number>();
  for (const { violations } of results)
    for (const kind of new Set(violations.map((violation) => violation.kind)))
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  const modes = ["sync", "daemon"].map(
    (mode) => `${results.filter((result) => result.mode === mode).length} ${mode}`,
  );
  return [
    `${results.length} scenarios (${modes.join(", ")}), ${sum(({ mirrors }) => mirrors)} mirrors, ${sum(({ requests }) => requests)} requests, ${sum(({ tagMoves }) => tagMoves)} moves of target tags, ${faults} faults`,
    `the longest run took ${Math.round(Math.max(0, ...results.map(({ longestRunMs }) => longestRunMs)) / 1_000)} s`,
    ...[...kinds].map(([kind, count]) => `${kind}: in ${count} scenarios`),
    kinds.size === 0
      ? "0 violations"
      : `${sum(({ violations }) => violations.length)} violations in ${results.filter(({ violations }) => violations.length > 0).length} scenarios`,
  ].join("\n");
}
