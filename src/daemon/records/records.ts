import type { ProofStore } from "../../sync/proofs.ts";
import type { StateStore } from "../state/state-store.ts";
import { type CrashRecords, openCrashRecords } from "./crashes.ts";
import { type MirrorRecords, openMirrorRecords } from "./mirrors.ts";
import { openProgressRecords, type ProgressRecords } from "./progress.ts";
import { openProofRecords } from "./proofs.ts";
import type { RecordsOptions, DaemonEvent } from "./record-types.ts";
import { openRunRecords, type RunRecords } from "./runs.ts";
import { openSessionRecords, type SessionRecords } from "./sessions.ts";
import { openTagRecords, type TagRecords } from "./tags.ts";

/** What the processes of an installation know of their work. Lost with the store, and then made again run by run. */
export type Records = {
  readonly mirrors: MirrorRecords;
  readonly runs: RunRecords;
  readonly tags: TagRecords;
  readonly crashes: CrashRecords;
  readonly progress: ProgressRecords;
  readonly sessions: SessionRecords;
  readonly proofs: ProofStore;
  notify(event: DaemonEvent): Promise<void>;
  subscribe(onEvent: (event: DaemonEvent) => void): Disposable;
};

export function openRecords(store: StateStore, { now }: Pick<RecordsOptions, "now">): Records {
  const notify = (event: DaemonEvent): Promise<void> => store.publish(JSON.stringify(event));
  const options: RecordsOptions = { now, notify };
  return {
    mirrors: openMirrorRecords(store, options),
    runs: openRunRecords(store, options),
    tags: openTagRecords(store, options),
    crashes: openCrashRecords(store, options),
    progress: openProgressRecords(store, options),
    sessions: openSessionRecords(store, options),
    proofs: openProofRecords(store),
    notify,
    subscribe: (onEvent) => store.subscribe((message) => onEvent(JSON.parse(message) as DaemonEvent)),
  };
}
