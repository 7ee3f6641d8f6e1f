import type { CodeFacts } from "../facts.ts";

/** The daemon: queue, Redis, quarantine. */
export const DAEMON_CODES = {
  LOCK_LOST: {
    class: "environment",
    meaning: "Another worker has taken the job, or this process is stopping. Nothing was published.",
    next: "Nothing to do: another worker does the job, or the next run does.",
    retry: "later",
  },
  QUEUE_AWAY: {
    class: "environment",
    meaning: "Redis cannot be reached, or refuses to write.",
    next: "Check the address, the memory and the log of Redis. Mirrors that became due are checked when Redis is back.",
    retry: "again",
  },
  BUSY: {
    class: "environment",
    meaning: "Other workers use what is needed: the rate limit of the registry, or the upload of this blob.",
    next: "Nothing to do: Tagferry tries again. If it happens often, raise `connections` or `requestsPerSecond`.",
    retry: "again",
  },
  JOB_INVALID: {
    class: "policy",
    meaning:
      "A job of the queue is not one of ours, or not valid: it is not signed with our key, or names what the configuration does not mirror.",
    next: "Find out who writes into Redis. Processes of one installation need the same configuration and the same `daemon.jobKeyFile`.",
  },
  REDIS_POLICY: {
    class: "environment",
    meaning: "Redis may delete data when its memory is full, and jobs would be lost.",
    next: "Set `maxmemory-policy noeviction`.",
  },
  QUARANTINED: {
    class: "environment",
    meaning:
      "Work on this tag ended three worker processes. Tagferry skips the tag until somebody releases it, or its digest changes.",
    next: "Check the logs and the memory of the workers, then press Retry on the page of the mirror, or call POST /api/v1/mirrors/{mirror}/retry.",
  },
  DAEMON_AWAY: {
    class: "environment",
    meaning: "No daemon answers at this address, or another program answers.",
    next: "Start `tagferry serve`, or set the address with `--url`.",
  },
} as const satisfies Record<string, CodeFacts>;
