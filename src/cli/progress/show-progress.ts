import type { Mirror } from "../../config/config.ts";
import { targetName } from "../../config/target-name.ts";
import type { CopyEvent } from "../../copy/events.ts";
import type { Watch } from "../../sync/apply-options.ts";
import type { CommonFlags, Process } from "../process.ts";
import { openProgressDisplay, type ProgressDisplay } from "./progress-display.ts";

type RunProgress = Disposable & { readonly watch: Watch };
type TagOf = { readonly mirror: string; readonly tag: string };

/** Shows the progress of a run on stderr: bars on a terminal, otherwise lines, nothing with --no-progress. */
export function showRunProgress(
  mirrors: readonly Mirror[],
  { progress: wanted }: CommonFlags,
  { stderr }: Process,
): RunProgress {
  if (!wanted) return { watch: {}, [Symbol.dispose]: () => {} };
  const drawing = stderr.isTTY === true;
  const progress = openProgressDisplay({ stream: stderr, drawing });
  const targets = new Map(
    mirrors.map((mirror) => [mirror.name, drawing ? shortName(mirror) : targetName(mirror.target)]),
  );
  const nameOf = ({ mirror, tag }: TagOf): string => `${targets.get(mirror) ?? mirror}:${tag}`;
  const counts = openCounts(mirrors.length);
  const shown = (): void => progress.summary(counts.text());
  shown();
  return {
    watch: {
      checked(mirror, tags) {
        counts.checked(tags.map((tag) => nameOf({ mirror, tag })));
        shown();
      },
      begin: (action) => progress.begin(nameOf(action)),
      copying: (action, event) => showEvent(progress, nameOf(action), event),
      outcome(outcome) {
        const name = nameOf(outcome);
        if (outcome.kind === "copied" || outcome.kind === "imported" || outcome.kind === "pushed") {
          counts.ended(name);
          progress.end(name, `${outcome.kind} ${name}`);
        } else if (outcome.kind === "failed") {
          counts.ended(name);
          progress.end(name, `failed ${name}: ${outcome.failure.code}`);
        }
        shown();
      },
    },
    [Symbol.dispose]: () => progress[Symbol.dispose](),
  };
}

/** `web/nginx` for a stream, because almost all targets are streams; otherwise the target as it is configured. */
function shortName({ target }: Mirror): string {
  return targetName(target).replace(/^imagestream:/, "");
}

/** Counts mirrors and tags for the line below the bars. */
function openCounts(mirrors: number): {
  checked(tags: readonly string[]): void;
  ended(tag: string): void;
  text(): string;
} {
  const waiting = new Set<string>();
  let [checked, tags] = [0, 0];
  return {
    checked(names) {
      checked += 1;
      tags += names.length;
      for (const name of names) waiting.add(name);
    },
    ended: (tag) => void waiting.delete(tag),
    text: () =>
      [
        ...(checked < mirrors ? [`${checked} of ${mirrors} ${plural(mirrors, "mirror")} checked`] : []),
        ...(tags > 0 ? [`${tags - waiting.size} of ${tags} ${plural(tags, "tag")} done`] : []),
      ].join(", "),
  };
}

function plural(count: number, word: string): string {
  return count === 1 ? word : `${word}s`;
}

/** Shows the progress of one copy. */
export function showCopyProgress(
  image: string,
  { progress: wanted }: CommonFlags,
  { stderr }: Process,
): Disposable & { event(event: CopyEvent): void } {
  if (!wanted) return { event: () => {}, [Symbol.dispose]: () => {} };
  const progress = openProgressDisplay({ stream: stderr, drawing: stderr.isTTY === true });
  progress.begin(image);
  return {
    event: (event) => showEvent(progress, image, event),
    [Symbol.dispose]: () => progress[Symbol.dispose](),
  };
}

function showEvent(progress: ProgressDisplay, image: string, event: CopyEvent): void {
  switch (event.kind) {
    case "planned":
      return progress.planned(image, event.bytes);
    case "bytes":
      return progress.sent(image, event.bytes);
    case "blob":
      // a blob that was present or mounted is complete without a byte sent
      return event.how === "pushed" ? undefined : progress.skipped(image, event.descriptor.size);
    case "manifest":
    case "healed":
    case "notCarried":
    case "foreign":
      return undefined;
  }
}
