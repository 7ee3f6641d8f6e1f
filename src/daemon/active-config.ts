import type { Config, Mirror } from "../config/config.ts";
import type { Loaded } from "../config/file/load.ts";
import { type Failure, failureOf } from "../errors/error.ts";
import type { Log } from "../lib/log.ts";
import type { Context } from "../sync/context.ts";
import { inputsOf } from "./config-inputs.ts";

/** A configuration in force, with its clients. Work that started with it also ends with it. */
export type ActiveConfig = {
  readonly config: Config;
  readonly context: Context;
  readonly loadedAt: Date;
  mirror(name: string): Mirror | undefined;
  /** Keeps its clients open until disposed. `found`: the mirror with this name. */
  use(mirror: string): Disposable & { readonly found: Mirror | undefined; readonly active: ActiveConfig };
  /** Closes the clients after their last user. */
  retire(): Promise<void>;
};

/** The only owner of the configuration in force. Nothing else in a daemon reads the file. */
export type ActiveConfigs = {
  readonly current: () => ActiveConfig;
  /** Why the present content of the file is not in force. */
  readonly failure: () => Failure | undefined;
  /** Reads the file if it, or a file that it names, has changed. A valid one comes into force. Never throws. */
  readonly reload: () => Promise<void>;
  close(): Promise<unknown>;
};

export type ActiveConfigsOptions = {
  /** The configuration that was read at the start. */
  readonly first: Loaded;
  readonly load: () => Promise<Loaded>;
  readonly open: (config: Config) => Context;
  readonly log: Log;
  readonly now: () => Date;
  /** Called when another configuration is in force, or an invalid file is valid again. */
  readonly onChange: (active: ActiveConfig) => void;
  readonly onBroken: (failure: Failure) => void;
};

/** Without any change the file is still read this often: a certificate may have expired. */
const REREAD_MS = 3_600_000;

export function openActiveConfigs({
  first,
  load,
  open,
  log,
  now,
  onChange,
  onBroken,
}: ActiveConfigsOptions): ActiveConfigs {
  const openOne = (config: Config): ActiveConfig => openActiveConfig(config, open(config), now());
  let current = openOne(first.config);
  let failure: Failure | undefined;
  let reloading: Promise<void> | undefined;
  /** Of the last reading; undefined until the first one here. */
  let inputs: { readonly text: string; readonly atMs: number } | undefined;
  let { files } = first;
  const retiring = new Set<Promise<void>>();

  function retire(active: ActiveConfig): void {
    const ending = active.retire().finally(() => retiring.delete(ending));
    retiring.add(ending);
  }

  function take(config: Config): void {
    const wasBroken = failure !== undefined;
    failure = undefined;
    // the content of certificates is a part of it
    const isSame = JSON.stringify(config) === JSON.stringify(current.config);
    if (!isSame) {
      retire(current);
      current = openOne(config);
      log.info({ file: config.file, fingerprint: config.fingerprint }, "a new configuration is in force");
    }
    if (!isSame || wasBroken) onChange(current);
  }

  function refuse(error: unknown): void {
    const found = failureOf(error);
    if (JSON.stringify(found) === JSON.stringify(failure)) return;
    failure = found;
    log.error(
      { code: found.code, file: current.config.file, details: found.details },
      `the configuration is not valid, the previous one stays in force: ${found.message}`,
    );
    onBroken(found);
  }

  async function reload(): Promise<void> {
    // before the file is read: what changes meanwhile is seen the next time
    const text = await inputsOf(current.config.file, files);
    const atMs = performance.now();
    if (failure === undefined && inputs?.text === text && atMs - inputs.atMs < REREAD_MS) return;
    inputs = { text, atMs };
    try {
      const loaded = await load();
      ({ files } = loaded);
      take(loaded.config);
    } catch (error) {
      refuse(error);
    }
  }

  return {
    current: () => current,
    failure: () => failure,
    reload: () =>
      (reloading ??= reload().finally(() => {
        reloading = undefined;
      })),
    close() {
      retire(current);
      return Promise.all(retiring);
    },
  };
}

function openActiveConfig(config: Config, context: Context, loadedAt: Date): ActiveConfig {
  const mirrors = new Map(config.mirrors.map((mirror) => [mirror.name, mirror]));
  let users = 0;
  const idle = Promise.withResolvers<void>();
  let retired = false;
  const settle = (): void => {
    if (retired && users === 0) idle.resolve();
  };
  const active: ActiveConfig = {
    config,
    context,
    loadedAt,
    mirror: (name) => mirrors.get(name),
    use(name) {
      users += 1;
      let used = true;
      return {
        found: mirrors.get(name),
        active,
        [Symbol.dispose]() {
          if (used) users -= 1;
          used = false;
          settle();
        },
      };
    },
    async retire() {
      retired = true;
      settle();
      await idle.promise;
      await context[Symbol.asyncDispose]();
    },
  };
  return active;
}
