import { type FSWatcher, watch } from "node:fs";
import { dirname } from "node:path";

import type { Config } from "../config/config.ts";
import type { Loaded } from "../config/file/load.ts";
import { type Failure, failureOf } from "../errors/error.ts";
import type { Log } from "../lib/log.ts";

/** The configuration as it is now, read again when it (or a certificate it names) changes. */
export type ConfigWatcher = Disposable & {
  readonly current: () => Config;
  readonly loadedAt: () => Date;
  /** Why the file as it is now is not in force. */
  readonly failure: () => Failure | undefined;
  /** Reads it now. */
  look(): Promise<void>;
};

export type ConfigWatcherOptions = {
  readonly load: () => Promise<Loaded>;
  readonly log: Log;
  readonly onChange: (config: Config) => void;
  readonly onBroken: (failure: Failure) => void;
  readonly pollMs?: number;
};

/** Editors write in steps, and Kubernetes swaps a directory: what comes at once is looked at once. */
const SETTLE_MS = 200;

/**
 * @throws {TagferryError} CONFIG_* when there is no good configuration to begin with
 */
export async function openConfigWatcher({
  load,
  log,
  onChange,
  onBroken,
  pollMs = 10_000,
}: ConfigWatcherOptions): Promise<ConfigWatcher> {
  let current = (await load()).config;
  let loadedAt = new Date();
  let failure: Failure | undefined;
  let looking: Promise<void> | undefined;
  let settling: NodeJS.Timeout | undefined;

  async function lookOnce(): Promise<void> {
    try {
      const { config } = await load();
      const wasBroken = failure !== undefined;
      failure = undefined;
      // certificates are part of it, as they were read
      if (JSON.stringify(config) === JSON.stringify(current)) {
        if (wasBroken) onChange(current);
        return;
      }
      current = config;
      loadedAt = new Date();
      log.info({ file: config.file, fingerprint: config.fingerprint }, "another configuration is in force");
      onChange(config);
    } catch (error) {
      const found = failureOf(error);
      if (JSON.stringify(found) === JSON.stringify(failure)) return;
      failure = found;
      log.error(
        { code: found.code, file: current.file, details: found.details },
        `the configuration is broken, the one before stays in force: ${found.message}`,
      );
      onBroken(found);
    }
  }

  function look(): Promise<void> {
    looking ??= lookOnce().finally(() => {
      looking = undefined;
    });
    return looking;
  }

  const watcher = watchDirectory(dirname(current.file), () => {
    clearTimeout(settling);
    settling = setTimeout(() => void look(), SETTLE_MS).unref();
  });
  const polling = setInterval(() => void look(), pollMs).unref();
  return {
    current: () => current,
    loadedAt: () => loadedAt,
    failure: () => failure,
    look,
    [Symbol.dispose]() {
      clearInterval(polling);
      clearTimeout(settling);
      watcher?.close();
    },
  };
}

/** The directory, for the file itself is replaced. Where nothing can be watched, polling is left. */
function watchDirectory(directory: string, onEvent: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(directory, { persistent: false }, onEvent);
    watcher.on("error", () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}
