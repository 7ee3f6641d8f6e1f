import type { Mirror } from "../../config/config.ts";
import { targetName } from "../../config/target-name.ts";
import type { CopyEvent } from "../../copy/events.ts";
import type { Watch } from "../../sync/apply-options.ts";
import type { CommonFlags, Process } from "../process.ts";
import { openProgressDisplay, type ProgressDisplay } from "./progress-display.ts";

type RunProgress = Disposable & { readonly watch: Watch };

/** Shows the progress of a run on stderr: bars on a terminal, otherwise lines, nothing with --no-progress. */
export function showRunProgress(
  mirrors: readonly Mirror[],
  { progress: wanted }: CommonFlags,
  { stderr }: Process,
): RunProgress {
  if (!wanted) return { watch: {}, [Symbol.dispose]: () => {} };
  const progress = openProgressDisplay({ stream: stderr, drawing: stderr.isTTY === true });
  const targets = new Map(mirrors.map((mirror) => [mirror.name, targetName(mirror.target)]));
  const nameOf = ({ mirror, tag }: { readonly mirror: string; readonly tag: string }): string =>
    `${targets.get(mirror) ?? mirror}:${tag}`;
  return {
    watch: {
      begin: (change) => progress.begin(nameOf(change)),
      copying: (change, event) => showEvent(progress, nameOf(change), event),
      outcome(outcome) {
        if (outcome.kind === "copied" || outcome.kind === "imported")
          progress.end(nameOf(outcome), `${outcome.kind} ${nameOf(outcome)}`);
        else if (outcome.kind === "failed")
          progress.end(nameOf(outcome), `failed ${nameOf(outcome)}: ${outcome.failure.code}`);
      },
    },
    [Symbol.dispose]: () => progress[Symbol.dispose](),
  };
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
      return progress.advance(image, event.bytes);
    case "blob":
      // a blob that was present or mounted is complete without a byte sent
      return event.how === "pushed" ? undefined : progress.advance(image, event.descriptor.size);
    case "manifest":
    case "healed":
    case "notCarried":
    case "foreign":
      return undefined;
  }
}
