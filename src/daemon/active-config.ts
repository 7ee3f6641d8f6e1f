import type { Config, Mirror } from "../config/config.ts";
import type { Context } from "../sync/context.ts";

/** A configuration in force, with the clients that were opened for it. Work begun under it ends under it. */
export type ActiveConfig = {
  readonly config: Config;
  readonly context: Context;
  /** Holds the active's clients open while a mirror is worked on. */
  use(mirror: string): Disposable & { readonly found: Mirror | undefined; readonly active: ActiveConfig };
  /** Closes the clients as soon as nobody uses them any more. */
  retire(): Promise<void>;
};

export function openActiveConfig(config: Config, context: Context): ActiveConfig {
  let users = 0;
  const idle = Promise.withResolvers<void>();
  let retired = false;
  const settle = (): void => {
    if (retired && users === 0) idle.resolve();
  };
  const active: ActiveConfig = {
    config,
    context,
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
