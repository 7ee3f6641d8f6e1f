import type { CodeFacts } from "../facts.ts";

/** The daemon: queue, Redis, quarantine. */
export const DAEMON_CODES = {
  LOCK_LOST: {
    class: "environment",
    meaning: "Another worker has taken the job, or this process is stopping; nothing was published.",
    next: "Nothing: the job is done elsewhere, or at the next run.",
    retry: "later",
  },
  QUEUE_AWAY: {
    class: "environment",
    meaning: "Redis cannot be reached, or refuses to write.",
    next: "Look at Redis: its address, its memory, its log. Mirrors that were due are checked when it is back.",
    retry: "again",
  },
  BUSY: {
    class: "environment",
    meaning: "Other workers use what is needed: the registry's rate limit, or the upload of this blob.",
    next: "Nothing: the work comes again by itself. If it is often so, raise `connections` or `requestsPerSecond`.",
    retry: "again",
  },
  REDIS_POLICY: {
    class: "environment",
    meaning: "Redis may throw data away when its memory is full; jobs would vanish.",
    next: "Set `maxmemory-policy noeviction`.",
  },
  QUARANTINED: {
    class: "environment",
    meaning:
      "Work on this tag ended three workers; it is left alone until somebody says so, or its digest changes.",
    next: "Look at the workers' logs (memory?), then press retry or call POST /api/v1/mirrors/NAME/retry.",
  },
  DAEMON_AWAY: {
    class: "environment",
    meaning: "No daemon answers, or what answers is none.",
    next: "Start `tagferry serve`, or name its address with `--url`.",
  },
} as const satisfies Record<string, CodeFacts>;
