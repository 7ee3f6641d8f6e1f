import { type FSWatcher, watch } from "node:fs";
import { dirname } from "node:path";

export type ConfigWatcherOptions = {
  readonly file: string;
  /** Called when the file, or another one in its directory, may have changed. Never rejects. */
  readonly onChange: () => Promise<void>;
  readonly pollMs?: number;
};

/** Editors write in several steps, and Kubernetes swaps a directory. Changes within this time count as one. */
const SETTLE_MS = 200;

/** Calls `onChange` now, when the directory of the file changes, and every few seconds. */
export function watchConfig({ file, onChange, pollMs = 10_000 }: ConfigWatcherOptions): Disposable {
  let settling: NodeJS.Timeout | undefined;
  const watcher = watchDirectory(dirname(file), () => {
    clearTimeout(settling);
    settling = setTimeout(() => void onChange(), SETTLE_MS).unref();
  });
  const polling = setInterval(() => void onChange(), pollMs).unref();
  // the file may have been saved after its first reading
  void onChange();
  return {
    [Symbol.dispose]() {
      clearInterval(polling);
      clearTimeout(settling);
      watcher?.close();
    },
  };
}

/** Watches the directory, because the file itself is replaced. Without a watch, polling finds changes. */
function watchDirectory(directory: string, onEvent: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(directory, { persistent: false }, onEvent);
    watcher.on("error", () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}
