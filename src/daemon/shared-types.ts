import type { ContextOptions } from "../sync/context.ts";
import type { Queue } from "./queue/queue.ts";
import type { Records } from "./records/records.ts";
import type { RedisLink } from "./redis/connection.ts";

/** What the processes of an installation share: through Redis, or within one process. */
export type Shared = {
  readonly link: RedisLink | undefined;
  readonly queue: Queue;
  readonly records: Records;
  /** Leases and rate limits for the clients; empty in one process. */
  readonly limits: Pick<ContextOptions, "lease" | "openRateLimit">;
  /** What the records need until the end. */
  readonly store: AsyncDisposable | undefined;
};

export type SharedOptions = { readonly now: () => Date; readonly lockMs: number | undefined };
