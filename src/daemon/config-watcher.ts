import { type FSWatcher, watch } from "node:fs";
import { dirname } from "node:path";

export type ConfigWatcherOptions = {
  readonly file: string;
  /** Called when the file, or something beside it, may have changed; never rejects. */
  readonly onChange: () => Promise<void>;
  readonly pollMs?: number;
};

/** Editors write in steps, and Kubernetes swaps a directory: changes that come together are one. */
const SETTLE_MS = 200;

/** Asks for a new reading of the configuration: now, when its directory changes, and every few seconds. */
export function watchConfig({ file, onChange, pollMs = 10_000 }: ConfigWatcherOptions): Disposable {
  let settling: NodeJS.Timeout | undefined;
  const watcher = watchDirectory(dirname(file), () => {
    clearTimeout(settling);
    settling = setTimeout(() => void onChange(), SETTLE_MS).unref();
  });
  const polling = setInterval(() => void onChange(), pollMs).unref();
  // the file may have been saved between its first reading and this moment
  void onChange();
  return {
    [Symbol.dispose]() {
      clearInterval(polling);
      clearTimeout(settling);
      watcher?.close();
    },
  };
}

/** The directory, because the file itself is replaced. Where nothing can be watched, polling is left. */
function watchDirectory(directory: string, onEvent: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(directory, { persistent: false }, onEvent);
    watcher.on("error", () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}
