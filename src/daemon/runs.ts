import type { Failure } from "../lib/error.ts";
import type { Outcome } from "../sync/report.ts";
import type { BookOptions, Run } from "./record.ts";
import type { Shelf } from "./shelf.ts";
import { openTags } from "./tags.ts";

const RUNS_KEPT = 20;
const RUN_KEPT_MS = 24 * 3_600_000;

/** What every run did, while it runs and afterwards. */
export type Runs = {
  begin(run: Pick<Run, "id" | "mirror" | "cause" | "dueAt">): Promise<void>;
  /** What the check found; from now on the run waits for so many tags. Gives the run when they are all there already. */
  expect(id: string, expected: number, warnings: readonly Failure[]): Promise<Run | undefined>;
  /** The mirror could not be checked at all. */
  fail(id: string, failure: Failure): Promise<Run | undefined>;
  /** Notes what became of a tag; gives the run when this was its last. Noting it twice is harmless. */
  outcome(id: string, outcome: Outcome): Promise<Run | undefined>;
  read(id: string): Promise<Run | undefined>;
  /** The finished runs of a mirror, newest first. */
  of(mirror: string): Promise<readonly Run[]>;
};

export function openRuns(shelf: Shelf, { now, tell }: BookOptions): Runs {
  const tags = openTags(shelf, { now, tell });
  const stamp = (): string => now().toISOString();

  async function read(id: string): Promise<Run | undefined> {
    const fields = await shelf.all(placeOf(id));
    const head = fields.get("head");
    if (head === undefined) return undefined;
    const outcomes = [...fields].flatMap(([field, text]) =>
      field.startsWith("tag:") ? [JSON.parse(text) as Outcome] : [],
    );
    return { ...(JSON.parse(head) as Run), outcomes };
  }

  async function of(mirror: string): Promise<readonly Run[]> {
    const texts = [...(await shelf.all(`runs:${mirror}`)).values()];
    const runs = texts.map((text) => JSON.parse(text) as Run);
    return runs.toSorted((one, other) => other.startedAt.localeCompare(one.startedAt));
  }

  async function finish(run: Run): Promise<Run> {
    const { id, mirror } = run;
    const trouble = run.outcomes.some(({ kind }) => kind === "failed" || kind === "refused");
    const state = run.failure ? "failed" : trouble ? "partial" : "done";
    const finished: Run = { ...run, state, finishedAt: stamp() };
    await shelf.put(`runs:${mirror}`, { [id]: JSON.stringify(finished) });
    const old = (await of(mirror)).slice(RUNS_KEPT).map((one) => one.id);
    await shelf.remove(`runs:${mirror}`, old);
    await shelf.remove(placeOf(id));
    const failingSince = await shelf.get(`mirror:${mirror}`, "failingSince");
    await shelf.put(`mirror:${mirror}`, {
      lastRunAt: stamp(),
      ...(state === "done" ? { lastSuccessAt: stamp() } : { failingSince: failingSince ?? stamp() }),
    });
    if (state === "done") await shelf.remove(`mirror:${mirror}`, ["failingSince"]);
    await tell({ kind: "run", mirror, run: id, state });
    return finished;
  }

  return {
    async begin(run) {
      const head: Run = { ...run, startedAt: stamp(), state: "running", outcomes: [], warnings: [] };
      await shelf.put(placeOf(run.id), { head: JSON.stringify(head) }, { keepMs: RUN_KEPT_MS });
      await tell({ kind: "run", mirror: run.mirror, run: run.id, state: "running" });
    },
    async expect(id, expected, warnings) {
      const run = await read(id);
      if (!run) return undefined;
      const head: Run = { ...run, expected, warnings, outcomes: [] };
      await shelf.put(placeOf(id), { head: JSON.stringify(head) }, { keepMs: RUN_KEPT_MS });
      // tags may have come in between the two requests above
      const { outcomes } = (await read(id)) ?? run;
      return outcomes.length >= expected ? finish({ ...head, outcomes }) : undefined;
    },
    async fail(id, failure) {
      const run = await read(id);
      return run && finish({ ...run, failure });
    },
    async outcome(id, outcome) {
      await tags.note(outcome);
      await tell({ kind: "outcome", mirror: outcome.mirror, outcome });
      // a run that is finished, or whose records were lost, is not begun again
      if ((await shelf.get(placeOf(id), "head")) === undefined) return undefined;
      const field = { [`tag:${outcome.tag}`]: JSON.stringify(outcome) };
      await shelf.put(placeOf(id), field, { keepMs: RUN_KEPT_MS });
      const run = await read(id);
      return run?.expected !== undefined && run.outcomes.length >= run.expected ? finish(run) : undefined;
    },
    read,
    of,
  };
}

const placeOf = (run: string): string => `run:${run}`;
