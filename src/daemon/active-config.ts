import type { Config, Mirror } from "../config/config.ts";
import type { Loaded } from "../config/file/load.ts";
import { type Failure, failureOf } from "../errors/error.ts";
import type { Log } from "../lib/log.ts";
import type { Context } from "../sync/context.ts";

/** A configuration in force, with the clients that were opened for it. Work that began under it ends under it. */
export type ActiveConfig = {
  readonly config: Config;
  readonly context: Context;
  readonly loadedAt: Date;
  /** Holds its clients open while a mirror is worked on. */
  use(mirror: string): Disposable & { readonly found: Mirror | undefined; readonly active: ActiveConfig };
  /** Closes the clients as soon as nobody uses them any more. */
  retire(): Promise<void>;
};

/** The only owner of the configuration in force: everything in a daemon asks it, and nothing else reads the file. */
export type ActiveConfigs = {
  readonly current: () => ActiveConfig;
  /** Why the file as it is now is not in force. */
  readonly failure: () => Failure | undefined;
  /** Reads the file now; what is good and different comes into force. Never throws. */
  readonly reload: () => Promise<void>;
  close(): Promise<unknown>;
};

export type ActiveConfigsOptions = {
  /** What was read at the start. */
  readonly first: Loaded;
  readonly load: () => Promise<Loaded>;
  readonly open: (config: Config) => Context;
  readonly log: Log;
  readonly now: () => Date;
  /** Another configuration is in force, or a broken file is good again. */
  readonly onChange: (active: ActiveConfig) => void;
  readonly onBroken: (failure: Failure) => void;
};

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
  const retiring = new Set<Promise<void>>();

  function retire(active: ActiveConfig): void {
    const ending = active.retire().finally(() => retiring.delete(ending));
    retiring.add(ending);
  }

  function take(config: Config): void {
    const wasBroken = failure !== undefined;
    failure = undefined;
    // the certificates that it names are part of it
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

  return {
    current: () => current,
    failure: () => failure,
    reload: () =>
      (reloading ??= load()
        .then(({ config }) => take(config))
        .catch(refuse)
        .finally(() => {
          reloading = undefined;
        })),
    close() {
      retire(current);
      return Promise.all(retiring);
    },
  };
}

function openActiveConfig(config: Config, context: Context, loadedAt: Date): ActiveConfig {
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
    use(name) {
      users += 1;
      let used = true;
      return {
        found: config.mirrors.find((mirror) => mirror.name === name),
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
