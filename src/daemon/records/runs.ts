import type { Failure } from "../../errors/error.ts";
import type { Outcome } from "../../sync/report.ts";
import { dateSchema, parseRecord } from "../queue/job-schema.ts";
import type { StateStore } from "../state/state-store.ts";
import { markSchema, outcomeSchema, runSchema, tagsSchema } from "./record-schemas.ts";
import type { OpenRun, RecordsOptions, Run, RunMark } from "./record-types.ts";
import { markOf } from "./run-marks.ts";

const RUNS_KEPT = 20;
const RUN_KEPT_MS = 24 * 3_600_000;
const RECENT = "recent";
const RECENT_KEPT = 200;

/**
 * What every run did, during the run and afterwards. The only writer of `run:ID`, `open:NAME` (the runs that wait for
 * tags), `runs:NAME` (the finished runs, each under a key that sorts by its start), `marks:NAME` (the same in short) and
 * `recent` (the same keys, of all mirrors).
 */
export type RunRecords = {
  begin(run: Pick<Run, "id" | "mirror" | "cause" | "dueAt">): Promise<void>;
  /** Records what the check found. The run now waits for these tags. Gives the run if all of them have an outcome. */
  expect(id: string, tags: readonly string[], warnings: readonly Failure[]): Promise<Run | undefined>;
  /** The mirror could not be checked at all. */
  fail(id: string, failure: Failure): Promise<Run | undefined>;
  /**
   * Records outcomes of tags of one mirror. Gives the run when these were its last ones. To record them twice is
   * harmless. They also count for an earlier run that still waits for such a tag: its own job was replaced by this one.
   */
  outcome(id: string, ...outcomes: readonly Outcome[]): Promise<Run | undefined>;
  read(id: string): Promise<Run | undefined>;
  /** Whether a run of this mirror is in progress, in any process. */
  isOpen(mirror: string): Promise<boolean>;
  /** Ends the runs of a mirror that are in progress. Returns their ids. Later outcomes count for none of them. */
  cancel(mirror: string): Promise<readonly string[]>;
  /** The runs of a mirror that are in progress, newest first, in short. */
  underWay(mirror: string): Promise<readonly OpenRun[]>;
  /** The finished runs in short, newest first. Reading them costs little, however many tags the runs had. */
  marks(mirror: string): Promise<readonly RunMark[]>;
  /** The finished runs of a mirror, newest first. `most`: no more are read; 20 are kept. */
  of(mirror: string, most?: number): Promise<readonly Run[]>;
  /** The last finished runs of all mirrors, newest first. Reads no more than `limit` runs; 200 are kept. */
  recent(limit: number): Promise<readonly Run[]>;
};

export type RunRecordsOptions = RecordsOptions & { readonly onFinished: (run: Run) => Promise<void> };

export function openRunRecords(
  store: StateStore,
  { now, notify, onFinished }: RunRecordsOptions,
): RunRecords {
  const stamp = (): string => now().toISOString();
  let finishes = 0;

  async function read(id: string): Promise<Run | undefined> {
    const fields = await store.all(namespaceOf(id));
    const head = parseRecord(runSchema, fields.get("head"));
    if (!head) return undefined;
    const outcomes = [...fields].flatMap(([field, text]) =>
      field.startsWith(TAG_FIELD) ? (parseRecord(outcomeSchema, text) ?? []) : [],
    );
    return { ...head, outcomes };
  }

  async function of(mirror: string, most = RUNS_KEPT): Promise<readonly Run[]> {
    const texts = await store.all(runsOf(mirror));
    return newestFirst(texts.keys())
      .slice(0, most)
      .flatMap((key) => parseRecord(runSchema, texts.get(key)) ?? []);
  }

  async function marks(mirror: string): Promise<readonly RunMark[]> {
    const texts = await store.all(marksOf(mirror));
    return newestFirst(texts.keys()).flatMap((key) => parseRecord(markSchema, texts.get(key)) ?? []);
  }

  async function underWay(mirror: string): Promise<readonly OpenRun[]> {
    const ids = [...(await store.all(openOf(mirror))).keys()];
    const open = await Promise.all(
      ids.map(async (id) => {
        const fields = await store.all(namespaceOf(id));
        const head = parseRecord(runSchema, fields.get("head"));
        return head && openRun(head, tagsDone(fields));
      }),
    );
    return open
      .filter((run) => run !== undefined)
      .toSorted((one, other) => other.startedAt.localeCompare(one.startedAt));
  }

  async function recent(most: number): Promise<readonly Run[]> {
    const mirrors = await store.all(RECENT);
    const at = async (key: string): Promise<Run | undefined> =>
      parseRecord(runSchema, await store.get(runsOf(mirrors.get(key) ?? ""), key));
    const runs = await Promise.all(newestFirst(mirrors.keys()).slice(0, most).map(at));
    return runs.filter((run) => run !== undefined);
  }

  /** Removes the oldest entries, and entries that are not ours. Parses nothing. */
  async function trim(namespace: string, kept: number): Promise<void> {
    const keys = [...(await store.all(namespace)).keys()];
    const newest = new Set(newestFirst(keys).slice(0, kept));
    await store.remove(
      namespace,
      keys.filter((key) => !newest.has(key)),
    );
  }

  /** The runs of a mirror that wait for tags: `run`, and those that were due before it. */
  async function openUntil(run: string, mirror: string): Promise<readonly string[]> {
    const open = await store.all(openOf(mirror));
    const dueAt = open.get(run);
    if (dueAt === undefined) return [run];
    const isEarlier = (due: string): boolean => dateSchema.safeParse(due).success && due < dueAt;
    return [...open].filter(([id, due]) => id === run || isEarlier(due)).map(([id]) => id);
  }

  /** Records outcomes in a run that waits for them. Gives the run when these were its last ones. */
  async function credit(id: string, outcomes: readonly Outcome[], isOwn: boolean): Promise<Run | undefined> {
    const before = await store.all(namespaceOf(id));
    // the run is finished, or its records were lost: it does not start again
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
    if (head?.expected === undefined || tagsDone(after) < head.expected) return undefined;
    const run = await read(id);
    return run && finish(run);
  }

  async function finish(run: Run, state = stateOf(run)): Promise<Run> {
    const { id, mirror } = run;
    const finished = { ...run, state, finishedAt: stamp() } as const;
    const key = keyOf(run);
    await store.set(runsOf(mirror), { [key]: JSON.stringify(finished) });
    await store.set(marksOf(mirror), { [key]: JSON.stringify(markOf(finished)) });
    for (const namespace of [runsOf(mirror), marksOf(mirror)]) await trim(namespace, RUNS_KEPT);
    await store.set(RECENT, { [key]: mirror });
    finishes += 1;
    if (finishes % RECENT_KEPT === 0) await trim(RECENT, RECENT_KEPT);
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
    isOpen: async (mirror) => (await store.all(openOf(mirror))).size > 0,
    async cancel(mirror) {
      const open = await Promise.all((await underWay(mirror)).map(({ id }) => read(id)));
      const runs = open.filter((run) => run !== undefined);
      for (const run of runs) await finish(run, "cancelled");
      return runs.map(({ id }) => id);
    },
    read,
    of,
    recent,
    marks,
    underWay,
  };
}

function stateOf({ failure, outcomes }: Run): RunMark["state"] {
  if (failure) return "failed";
  return outcomes.some(({ kind }) => kind === "failed" || kind === "refused") ? "partial" : "done";
}

function openRun({ id, cause, startedAt, expected }: Run, done: number): OpenRun {
  return { id, cause, startedAt, done, ...(expected === undefined ? {} : { expected }) };
}

function tagsDone(fields: ReadonlyMap<string, string>): number {
  return [...fields.keys()].filter((field) => field.startsWith(TAG_FIELD)).length;
}

/** The tags that a run waits for. Empty before its plan is made. */
function awaitedIn(fields: ReadonlyMap<string, string>): readonly string[] {
  return parseRecord(tagsSchema, fields.get("awaited")) ?? [];
}

/** ISO times in UTC sort as texts. Whatever else was written there is left out. */
function newestFirst(keys: Iterable<string>): readonly string[] {
  return [...keys]
    .filter((key) => /^\d{4}-\d\d-\d\dT/.test(key))
    .toSorted((one, other) => (one < other ? 1 : -1));
}

const keyOf = ({ startedAt, id }: Run): string => `${startedAt} ${id}`;
const runsOf = (mirror: string): string => `runs:${mirror}`;
const marksOf = (mirror: string): string => `marks:${mirror}`;
const TAG_FIELD = "tag:";
const fieldOf = (tag: string): string => `${TAG_FIELD}${tag}`;
const openOf = (mirror: string): string => `open:${mirror}`;
const namespaceOf = (run: string): string => `run:${run}`;
