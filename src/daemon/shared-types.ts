import type { ContextOptions } from "../sync/context.ts";
import type { Queue } from "./queue/queue.ts";
import type { Records } from "./records/records.ts";
import type { RedisLink } from "./redis/connection.ts";

/** The parts that all processes of an installation share, through Redis. Without Redis there is one process. */
export type Shared = {
  readonly link: RedisLink | undefined;
  readonly queue: Queue;
  readonly records: Records;
  /** Leases and rate limits for the clients; empty in one process. */
  readonly limits: Pick<ContextOptions, "lease" | "openRateLimit">;
  /** Closed after all records are written. */
  readonly store: AsyncDisposable | undefined;
};

export type SharedOptions = { readonly now: () => Date; readonly lockMs: number | undefined };
