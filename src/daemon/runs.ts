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
  /** What the check found; from now on the run waits for these tags. Gives the run when they are all there already. */
  expect(id: string, tags: readonly string[], warnings: readonly Failure[]): Promise<Run | undefined>;
  /** The mirror could not be checked at all. */
  fail(id: string, failure: Failure): Promise<Run | undefined>;
  /**
   * Notes what became of a tag; gives the run when this was its last. Noting it twice is harmless. A run that was due
   * earlier and still waits for this tag has its answer, too: its own work was replaced by this one's.
   */
  outcome(id: string, outcome: Outcome): Promise<Run | undefined>;
  read(id: string): Promise<Run | undefined>;
  /** The finished runs of a mirror, newest first. */
  of(mirror: string): Promise<readonly Run[]>;
};

export function openRuns(shelf: Shelf, { now, tell }: BookOptions): Runs {
  const tagBook = openTags(shelf, { now, tell });
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

  /** The runs of a mirror that wait for tags: those that were due before `run`, and itself. */
  async function openUntil(run: string, mirror: string): Promise<readonly string[]> {
    const open = await shelf.all(openOf(mirror));
    const dueAt = open.get(run);
    if (dueAt === undefined) return [run];
    return [...open].filter(([id, due]) => id === run || due < dueAt).map(([id]) => id);
  }

  /** Notes an outcome in a run that waits for it; gives the run when this was its last. */
  async function credit(id: string, outcome: Outcome, isOwn: boolean): Promise<Run | undefined> {
    const before = await shelf.all(placeOf(id));
    // a run that is finished, or whose records were lost, is not begun again
    if (!before.has("head")) {
      await shelf.remove(openOf(outcome.mirror), [id]);
      return undefined;
    }
    const field = `tag:${outcome.tag}`;
    if (!isOwn && (before.has(field) || !awaitedIn(before).includes(outcome.tag))) return undefined;
    await shelf.put(placeOf(id), { [field]: JSON.stringify(outcome) }, { keepMs: RUN_KEPT_MS });
    const run = await read(id);
    return run?.expected !== undefined && run.outcomes.length >= run.expected ? finish(run) : undefined;
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
    await shelf.remove(openOf(mirror), [id]);
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
      await shelf.put(openOf(run.mirror), { [run.id]: run.dueAt }, { keepMs: RUN_KEPT_MS });
      await tell({ kind: "run", mirror: run.mirror, run: run.id, state: "running" });
    },
    async expect(id, tags, warnings) {
      const run = await read(id);
      if (!run) return undefined;
      const expected = tags.length;
      const head: Run = { ...run, expected, warnings, outcomes: [] };
      const fields = { head: JSON.stringify(head), awaited: JSON.stringify(tags) };
      await shelf.put(placeOf(id), fields, { keepMs: RUN_KEPT_MS });
      // tags may have come in between the two requests above
      const { outcomes } = (await read(id)) ?? run;
      return outcomes.length >= expected ? finish({ ...head, outcomes }) : undefined;
    },
    async fail(id, failure) {
      const run = await read(id);
      return run && finish({ ...run, failure });
    },
    async outcome(id, outcome) {
      await tagBook.note(outcome);
      await tell({ kind: "outcome", mirror: outcome.mirror, outcome });
      let finished: Run | undefined;
      for (const open of await openUntil(id, outcome.mirror)) {
        const done = await credit(open, outcome, open === id);
        if (open === id) finished = done;
      }
      return finished;
    },
    read,
    of,
  };
}

/** Nothing while a run is still being checked: what it will wait for it plans by what is there then. */
function awaitedIn(fields: ReadonlyMap<string, string>): readonly string[] {
  return JSON.parse(fields.get("awaited") ?? "[]") as readonly string[];
}

const openOf = (mirror: string): string => `open:${mirror}`;
const placeOf = (run: string): string => `run:${run}`;
