import type { Logger } from "pino";

/** What the program writes about itself, to stderr. Results go to stdout and are no log. */
export type Log = Pick<Logger, "debug" | "info" | "warn" | "error" | "child">;

export const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
