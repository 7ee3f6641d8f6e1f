import { type Crashes, openCrashes } from "./crashes.ts";
import { type MirrorBook, openMirrorBook } from "./mirror-book.ts";
import { openProgressBook, type ProgressBook } from "./progress.ts";
import type { BookOptions, DaemonEvent } from "./record.ts";
import { openRuns, type Runs } from "./runs.ts";
import type { Shelf } from "./shelf.ts";
import { openTags, type Tags } from "./tags.ts";

/** What the processes of an installation know of their work. Lost with the shelf, and then made again run by run. */
export type Records = {
  readonly mirrors: MirrorBook;
  readonly runs: Runs;
  readonly tags: Tags;
  readonly crashes: Crashes;
  readonly progress: ProgressBook;
  tell(event: DaemonEvent): Promise<void>;
  listen(onEvent: (event: DaemonEvent) => void): Disposable;
};

export function openRecords(shelf: Shelf, { now }: Pick<BookOptions, "now">): Records {
  const tell = (event: DaemonEvent): Promise<void> => shelf.tell(JSON.stringify(event));
  const options: BookOptions = { now, tell };
  return {
    mirrors: openMirrorBook(shelf, options),
    runs: openRuns(shelf, options),
    tags: openTags(shelf, options),
    crashes: openCrashes(shelf, options),
    progress: openProgressBook(shelf, options),
    tell,
    listen: (onEvent) => shelf.listen((message) => onEvent(JSON.parse(message) as DaemonEvent)),
  };
}
