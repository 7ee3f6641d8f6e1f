import type { Failure } from "../../errors/error.ts";
import type { Outcome } from "../../sync/report.ts";
import type { StateStore } from "../state/state-store.ts";
import type { RecordsOptions, Run } from "./record-types.ts";
import { openTagRecords } from "./tags.ts";

const RUNS_KEPT = 20;
const RUN_KEPT_MS = 24 * 3_600_000;

/** What every run did, while it runs and afterwards. */
export type RunRecords = {
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

export function openRunRecords(store: StateStore, { now, notify }: RecordsOptions): RunRecords {
  const tagRecords = openTagRecords(store, { now, notify });
  const stamp = (): string => now().toISOString();

  async function read(id: string): Promise<Run | undefined> {
    const fields = await store.all(namespaceOf(id));
    const head = fields.get("head");
    if (head === undefined) return undefined;
    const outcomes = [...fields].flatMap(([field, text]) =>
      field.startsWith("tag:") ? [JSON.parse(text) as Outcome] : [],
    );
    return { ...(JSON.parse(head) as Run), outcomes };
  }

  async function of(mirror: string): Promise<readonly Run[]> {
    const texts = [...(await store.all(`runs:${mirror}`)).values()];
    const runs = texts.map((text) => JSON.parse(text) as Run);
    return runs.toSorted((one, other) => other.startedAt.localeCompare(one.startedAt));
  }

  /** The runs of a mirror that wait for tags: those that were due before `run`, and itself. */
  async function openUntil(run: string, mirror: string): Promise<readonly string[]> {
    const open = await store.all(openOf(mirror));
    const dueAt = open.get(run);
    if (dueAt === undefined) return [run];
    return [...open].filter(([id, due]) => id === run || due < dueAt).map(([id]) => id);
  }

  /** Notes an outcome in a run that waits for it; gives the run when this was its last. */
  async function credit(id: string, outcome: Outcome, isOwn: boolean): Promise<Run | undefined> {
    const before = await store.all(namespaceOf(id));
    // a run that is finished, or whose records were lost, is not begun again
    if (!before.has("head")) {
      await store.remove(openOf(outcome.mirror), [id]);
      return undefined;
    }
    const field = `tag:${outcome.tag}`;
    if (!isOwn && (before.has(field) || !awaitedIn(before).includes(outcome.tag))) return undefined;
    await store.set(namespaceOf(id), { [field]: JSON.stringify(outcome) }, { ttlMs: RUN_KEPT_MS });
    const run = await read(id);
    return run?.expected !== undefined && run.outcomes.length >= run.expected ? finish(run) : undefined;
  }

  async function finish(run: Run): Promise<Run> {
    const { id, mirror } = run;
    const trouble = run.outcomes.some(({ kind }) => kind === "failed" || kind === "refused");
    const state = run.failure ? "failed" : trouble ? "partial" : "done";
    const finished: Run = { ...run, state, finishedAt: stamp() };
    await store.set(`runs:${mirror}`, { [id]: JSON.stringify(finished) });
    const old = (await of(mirror)).slice(RUNS_KEPT).map((one) => one.id);
    await store.remove(`runs:${mirror}`, old);
    await store.remove(namespaceOf(id));
    await store.remove(openOf(mirror), [id]);
    const failingSince = await store.get(`mirror:${mirror}`, "failingSince");
    await store.set(`mirror:${mirror}`, {
      lastRunAt: stamp(),
      ...(state === "done" ? { lastSuccessAt: stamp() } : { failingSince: failingSince ?? stamp() }),
    });
    if (state === "done") await store.remove(`mirror:${mirror}`, ["failingSince"]);
    await notify({ kind: "run", mirror, run: id, state });
    return finished;
  }

  return {
    async begin(run) {
      const head: Run = { ...run, startedAt: stamp(), state: "running", outcomes: [], warnings: [] };
      await store.set(namespaceOf(run.id), { head: JSON.stringify(head) }, { ttlMs: RUN_KEPT_MS });
      await store.set(openOf(run.mirror), { [run.id]: run.dueAt }, { ttlMs: RUN_KEPT_MS });
      await notify({ kind: "run", mirror: run.mirror, run: run.id, state: "running" });
    },
    async expect(id, tags, warnings) {
      const run = await read(id);
      if (!run) return undefined;
      const expected = tags.length;
      const head: Run = { ...run, expected, warnings, outcomes: [] };
      const fields = { head: JSON.stringify(head), awaited: JSON.stringify(tags) };
      await store.set(namespaceOf(id), fields, { ttlMs: RUN_KEPT_MS });
      // tags may have come in between the two requests above
      const { outcomes } = (await read(id)) ?? run;
      return outcomes.length >= expected ? finish({ ...head, outcomes }) : undefined;
    },
    async fail(id, failure) {
      const run = await read(id);
      return run && finish({ ...run, failure });
    },
    async outcome(id, outcome) {
      await tagRecords.note(outcome);
      await notify({ kind: "outcome", mirror: outcome.mirror, outcome });
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
const namespaceOf = (run: string): string => `run:${run}`;
