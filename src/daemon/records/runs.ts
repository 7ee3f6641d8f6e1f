import type { Failure } from "../../errors/error.ts";
import type { Outcome } from "../../sync/report.ts";
import { dateSchema, parseRecord } from "../queue/job-schema.ts";
import type { StateStore } from "../state/state-store.ts";
import { outcomeSchema, runSchema, tagsSchema } from "./record-schemas.ts";
import type { RecordsOptions, Run } from "./record-types.ts";

const RUNS_KEPT = 20;
const RUN_KEPT_MS = 24 * 3_600_000;

/** What every run did, while it runs and afterwards. The only writer of `run:ID`, `runs:NAME` and `open:NAME`. */
export type RunRecords = {
  begin(run: Pick<Run, "id" | "mirror" | "cause" | "dueAt">): Promise<void>;
  /** What the check found; from now on the run waits for these tags. Gives the run if all of them have an outcome already. */
  expect(id: string, tags: readonly string[], warnings: readonly Failure[]): Promise<Run | undefined>;
  /** The mirror could not be checked at all. */
  fail(id: string, failure: Failure): Promise<Run | undefined>;
  /**
   * Notes what became of tags of one mirror; gives the run when these were its last. Noting it twice is harmless. It counts for a run that
   * was due earlier and still waits for this tag as well: that run's own job was replaced by this one's.
   */
  outcome(id: string, ...outcomes: readonly Outcome[]): Promise<Run | undefined>;
  read(id: string): Promise<Run | undefined>;
  /** The finished runs of a mirror, newest first. */
  of(mirror: string): Promise<readonly Run[]>;
};

export type RunRecordsOptions = RecordsOptions & { readonly onFinished: (run: Run) => Promise<void> };

export function openRunRecords(
  store: StateStore,
  { now, notify, onFinished }: RunRecordsOptions,
): RunRecords {
  const stamp = (): string => now().toISOString();

  async function read(id: string): Promise<Run | undefined> {
    const fields = await store.all(namespaceOf(id));
    const head = parseRecord(runSchema, fields.get("head"));
    if (!head) return undefined;
    const outcomes = [...fields].flatMap(([field, text]) =>
      field.startsWith(TAG_FIELD) ? (parseRecord(outcomeSchema, text) ?? []) : [],
    );
    return { ...head, outcomes };
  }

  async function of(mirror: string): Promise<readonly Run[]> {
    const texts = [...(await store.all(`runs:${mirror}`)).values()];
    const runs = texts.flatMap((text) => parseRecord(runSchema, text) ?? []);
    return runs.toSorted((one, other) => other.startedAt.localeCompare(one.startedAt));
  }

  /** The runs of a mirror that wait for tags: those that were due before `run`, and itself. */
  async function openUntil(run: string, mirror: string): Promise<readonly string[]> {
    const open = await store.all(openOf(mirror));
    const dueAt = open.get(run);
    if (dueAt === undefined) return [run];
    const isEarlier = (due: string): boolean => dateSchema.safeParse(due).success && due < dueAt;
    return [...open].filter(([id, due]) => id === run || isEarlier(due)).map(([id]) => id);
  }

  /** Notes outcomes in a run that waits for them; gives the run when these were its last. */
  async function credit(id: string, outcomes: readonly Outcome[], isOwn: boolean): Promise<Run | undefined> {
    const before = await store.all(namespaceOf(id));
    // a run that is finished, or whose records were lost, is not begun again
    if (!parseRecord(runSchema, before.get("head"))) {
      await store.remove(openOf(outcomes[0]?.mirror ?? ""), [id]);
      return undefined;
    }
    const awaited = new Set(awaitedIn(before));
    const isAwaited = ({ tag }: Outcome): boolean => !before.has(fieldOf(tag)) && awaited.has(tag);
    const noted = isOwn ? outcomes : outcomes.filter(isAwaited);
    if (noted.length === 0) return undefined;
    const fields = Object.fromEntries(noted.map((one) => [fieldOf(one.tag), JSON.stringify(one)]));
    await store.set(namespaceOf(id), fields, { ttlMs: RUN_KEPT_MS });
    const after = await store.all(namespaceOf(id));
    const head = parseRecord(runSchema, after.get("head"));
    const done = [...after.keys()].filter((field) => field.startsWith(TAG_FIELD)).length;
    if (head?.expected === undefined || done < head.expected) return undefined;
    const run = await read(id);
    return run && finish(run);
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
    await onFinished(finished);
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
    async outcome(id, ...outcomes) {
      const [first] = outcomes;
      if (!first) return undefined;
      const { mirror } = first;
      await Promise.all(outcomes.map((outcome) => notify({ kind: "outcome", mirror, outcome })));
      let finished: Run | undefined;
      for (const open of await openUntil(id, mirror)) {
        const done = await credit(open, outcomes, open === id);
        if (open === id) finished = done;
      }
      return finished;
    },
    read,
    of,
  };
}

/** Nothing while a run is still being checked: its plan is not made yet. */
function awaitedIn(fields: ReadonlyMap<string, string>): readonly string[] {
  return parseRecord(tagsSchema, fields.get("awaited")) ?? [];
}

const TAG_FIELD = "tag:";
const fieldOf = (tag: string): string => `${TAG_FIELD}${tag}`;
const openOf = (mirror: string): string => `open:${mirror}`;
const namespaceOf = (run: string): string => `run:${run}`;
