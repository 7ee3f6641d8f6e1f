import type { Readable, Writable } from "node:stream";

import type { LOG_LEVELS } from "../lib/log-level.ts";

/** What a command gets from the operating system's process. Tests pass their own. */
export type Process = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly directory: string;
  readonly nodeVersion: string;
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly signal: AbortSignal;
};

/** The flags that every command has. */
export type CommonFlags = {
  readonly config?: string;
  readonly output: "text" | "json" | "yaml";
  readonly logLevel: (typeof LOG_LEVELS)[number];
  readonly logFormat?: "pretty" | "json";
  readonly progress: boolean;
};
