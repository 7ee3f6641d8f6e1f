import type { ProofStore } from "../../sync/proofs/proofs.ts";
import { parseRecord } from "../queue/job-schema.ts";
import type { StateStore } from "../state/state-store.ts";
import { type CrashRecords, openCrashRecords } from "./crashes.ts";
import { type DayRecords, openDayRecords } from "./days.ts";
import { type MirrorRecords, openMirrorRecords } from "./mirrors.ts";
import { openProgressRecords, type ProgressRecords } from "./progress.ts";
import { openProofRecords } from "./proofs.ts";
import { eventSchema } from "./record-schemas.ts";
import type { RecordsOptions, DaemonEvent } from "./record-types.ts";
import { openRunRecords, type RunRecords } from "./runs.ts";
import { openSessionRecords, type SessionRecords } from "./sessions.ts";
import { openTagRecords, type TagRecords } from "./tags.ts";

/** The records that the processes of an installation share. If the store is lost, later runs create them again. */
export type Records = {
  readonly mirrors: MirrorRecords;
  readonly runs: RunRecords;
  readonly tags: TagRecords;
  readonly crashes: CrashRecords;
  readonly progress: ProgressRecords;
  readonly days: DayRecords;
  readonly sessions: SessionRecords;
  readonly proofs: ProofStore;
  notify(event: DaemonEvent): Promise<void>;
  subscribe(onEvent: (event: DaemonEvent) => void): Disposable;
};

export function openRecords(store: StateStore, { now }: Pick<RecordsOptions, "now">): Records {
  const notify = (event: DaemonEvent): Promise<void> => store.publish(JSON.stringify(event));
  const options: RecordsOptions = { now, notify };
  const mirrors = openMirrorRecords(store, options);
  return {
    mirrors,
    runs: openRunRecords(store, { ...options, onFinished: (run) => mirrors.finished(run) }),
    tags: openTagRecords(store, { ...options, nextReading: (mirror) => mirrors.nextReading(mirror) }),
    crashes: openCrashRecords(store, options),
    progress: openProgressRecords(store, options),
    days: openDayRecords(store, options),
    sessions: openSessionRecords(store, options),
    proofs: openProofRecords(store),
    notify,
    subscribe: (onEvent) =>
      store.subscribe((message) => {
        const event = parseRecord(eventSchema, message);
        if (event) onEvent(event); // others may write to the channel too
      }),
  };
}
