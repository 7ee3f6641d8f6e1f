import { setTimeout as delay } from "node:timers/promises";

import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import { bullQueue } from "../../../src/daemon/queue/bullmq.ts";
import { inProcessQueue } from "../../../src/daemon/queue/in-process.ts";
import type { ApplyJob, CheckJob, Job } from "../../../src/daemon/queue/job.ts";
import { RetryLater, type Handle, type Queue } from "../../../src/daemon/queue/queue.ts";
import { openRedis } from "../../../src/daemon/redis/connection.ts";
import { digestOf } from "../../../src/oci/digest.ts";
import { startRedis, type TestRedis } from "../../support/redis.ts";
import { SILENT } from "../../support/registry/client.ts";

const NEVER = new AbortController().signal;

function check(mirror: string, dueAt = "2026-01-01T00:00:00.000Z"): CheckJob {
  return { kind: "check", mirror, run: `${mirror}@${dueAt}`, dueAt, cause: "schedule" };
}

/** The content identifies one of several jobs of the same tag. */
function apply(mirror: string, tag: string, content = "one"): ApplyJob {
  const image = { digest: digestOf(Buffer.from(content)), mediaType: "x/y", size: 1 };
  return {
    kind: "apply",
    mirror,
    run: "r",
    reading: 1,
    plannedAt: "2026-01-01T00:00:00.000Z",
    actions: [
      {
        kind: "create",
        mirror,
        tag,
        image,
        takeover: false,
        reason: "",
        from: { source: "docker.io/library/nginx", tag },
        readAt: "2026-06-01T00:00:00.000Z",
      },
    ],
  };
}

const digestIn = (job: Job): string =>
  job.kind === "apply" && job.actions[0] && "image" in job.actions[0] ? job.actions[0].image.digest : "";

type Opened = AsyncDisposable & { readonly queue: Queue };

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis[Symbol.asyncDispose]());

const IMPLEMENTATIONS: readonly { readonly name: string; readonly open: () => Promise<Opened> }[] = [
  {
    name: "in one process",
    open: async () => {
      const queue = inProcessQueue();
      return { queue, [Symbol.asyncDispose]: () => queue[Symbol.asyncDispose]() };
    },
  },
  {
    name: "on Redis",
    open: async () => {
      await redis.command("FLUSHALL");
      const link = openRedis({ url: redis.url }, SILENT);
      await until(async () => (await link.look()).kind === "up");
      const queue = bullQueue(link, { log: SILENT, lockMs: 2_000 });
      return {
        queue,
        async [Symbol.asyncDispose]() {
          await queue[Symbol.asyncDispose]();
          await link[Symbol.asyncDispose]();
        },
      };
    },
  },
];

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error("it did not come true in 10 s");
    await delay(5);
  }
}

function working(
  queue: Queue,
  handle: Handle,
  options: { readonly checks?: number; readonly applies?: number; readonly broken?: unknown[] } = {},
): AsyncDisposable {
  const workers = queue.work(handle, {
    checks: () => options.checks ?? 4,
    applies: options.applies ?? 4,
    onBroken: (_job, error) => void options.broken?.push(error),
  });
  return { [Symbol.asyncDispose]: () => workers.close({ signal: NEVER }) };
}

describe.for(IMPLEMENTATIONS)("a queue $name", ({ open }) => {
  test("does a check once, however often its due time is told, also when it is done already", async () => {
    await using opened = await open();
    const { queue } = opened;
    const done: string[] = [];
    expect(await queue.add(check("a"))).toBe("queued");
    expect(await queue.add(check("a"))).toBe("duplicate");
    await using _ = working(queue, async (job) => void done.push(job.mirror));
    await until(() => done.length === 1);
    await until(async () => (await queue.counts()).active === 0);
    expect(await queue.add(check("a"))).toBe("duplicate");
    expect(await queue.add(check("a", "2026-01-01T00:30:00.000Z"))).toBe("queued");
    await until(() => done.length === 2);
  });

  test("does of several jobs for one tag that wait only the last", async () => {
    await using opened = await open();
    const { queue } = opened;
    const done: string[] = [];
    await queue.add(apply("a", "latest", "one"));
    expect(await queue.add(apply("a", "latest", "two"))).toBe("duplicate");
    await queue.add(apply("a", "other", "three"));
    await using _ = working(queue, async (job) => void done.push(digestIn(job)));
    await until(async () => done.length === 2 && (await queue.counts()).waiting === 0);
    expect(done.toSorted()).toEqual(
      [digestIn(apply("a", "latest", "two")), digestIn(apply("a", "other", "three"))].toSorted(),
    );
  });

  test("never does two jobs of one tag at once; the last that came meanwhile follows", async () => {
    await using opened = await open();
    const { queue } = opened;
    const done: string[] = [];
    let under = 0;
    let most = 0;
    const gate = Promise.withResolvers<void>();
    await using _ = working(queue, async (job) => {
      under += 1;
      most = Math.max(most, under);
      if (done.length === 0) await gate.promise;
      done.push(digestIn(job));
      under -= 1;
    });
    await queue.add(apply("a", "latest", "one"));
    await until(() => under === 1);
    await queue.add(apply("a", "latest", "two"));
    await queue.add(apply("a", "latest", "one"));
    gate.resolve();
    await until(() => done.length === 2);
    await delay(50);
    expect(most).toBe(1);
    expect(done).toEqual([digestIn(apply("a", "latest", "one")), digestIn(apply("a", "latest", "one"))]);
  });

  test("keeps of two plans that wait the one that was read later, in whichever order they come", async () => {
    await using opened = await open();
    const { queue } = opened;
    const done: string[] = [];
    const gate = Promise.withResolvers<void>();
    await queue.add({ ...apply("a", "latest", "later"), reading: 5 });
    await queue.add({ ...apply("a", "latest", "earlier"), reading: 4 });
    await using _ = working(queue, async (job) => {
      done.push(digestIn(job));
      if (done.length === 1) await gate.promise;
    });
    await until(() => done.length === 1);
    // the same is true while the tag is being copied
    await queue.add({ ...apply("a", "latest", "last"), reading: 7 });
    await queue.add({ ...apply("a", "latest", "between"), reading: 6 });
    gate.resolve();
    await until(() => done.length === 2);
    expect(done).toEqual([digestIn(apply("a", "latest", "later")), digestIn(apply("a", "latest", "last"))]);
  });

  test("checks a mirror never twice at once; due times meanwhile make one more check follow", async () => {
    await using opened = await open();
    const { queue } = opened;
    const runs: string[] = [];
    let under = 0;
    let most = 0;
    const gate = Promise.withResolvers<void>();
    await using _ = working(queue, async (job) => {
      most = Math.max(most, (under += 1));
      runs.push(job.run);
      if (runs.length === 1) await gate.promise;
      under -= 1;
    });
    await queue.add(check("a"));
    await until(() => runs.length === 1);
    for (let minute = 10; minute < 15; minute += 1)
      await queue.add(check("a", `2026-01-01T00:${minute}:00.000Z`));
    gate.resolve();
    await until(() => runs.length === 2);
    await until(async () => (await queue.counts()).active === 0);
    expect(most).toBe(1);
    expect(runs).toHaveLength(2);
    expect(await queue.counts()).toMatchObject({ waiting: 0, delayed: 0 });
  });

  test("does not let a check that waits to be tried again wait beyond the next due time", async () => {
    await using opened = await open();
    const { queue } = opened;
    const attempts: string[] = [];
    await using _ = working(queue, async (job, { attempt }) => {
      attempts.push(`${job.run} ${attempt}`);
      if (attempts.length === 1) throw new RetryLater(3_600_000);
    });
    await queue.add(check("a"));
    await until(async () => (await queue.counts()).delayed === 1);
    expect(await queue.add(check("a", "2026-01-01T00:30:00.000Z"))).toBe("duplicate");
    await until(() => attempts.length === 2);
    // it is still the same run
    expect(attempts).toEqual([`${check("a").run} 0`, `${check("a").run} 1`]);
  });

  test("gives a job that must wait back, does others meanwhile, and counts its attempts", async () => {
    await using opened = await open();
    const { queue } = opened;
    const seen: string[] = [];
    await using _ = working(
      queue,
      async (job, { attempt }) => {
        const tag = job.kind === "apply" ? job.actions[0]?.tag : "";
        seen.push(`${tag} ${attempt}`);
        if (tag === "slow" && attempt < 2) throw new RetryLater(150);
      },
      { applies: 1 },
    );
    await queue.add(apply("a", "slow"));
    await until(() => seen.length === 1);
    await queue.add(apply("a", "quick"));
    await until(() => seen.length === 4);
    expect(seen).toEqual(["slow 0", "quick 0", "slow 1", "slow 2"]);
  });

  test("does not count what was given back for another's sake", async () => {
    await using opened = await open();
    const { queue } = opened;
    const attempts: number[] = [];
    await using _ = working(queue, async (_job, { attempt }) => {
      attempts.push(attempt);
      if (attempts.length < 3) throw new RetryLater(20, { counts: false });
    });
    await queue.add(apply("a", "latest"));
    await until(() => attempts.length === 3);
    expect(attempts).toEqual([0, 0, 0]);
  });

  test("keeps to its width, and lets checks and applies not wait for each other", async () => {
    await using opened = await open();
    const { queue } = opened;
    let under = 0;
    let most = 0;
    const gate = Promise.withResolvers<void>();
    const checked: string[] = [];
    await using _ = working(
      queue,
      async (job) => {
        if (job.kind === "check") return void checked.push(job.mirror);
        under += 1;
        most = Math.max(most, under);
        await gate.promise;
        under -= 1;
      },
      { applies: 2 },
    );
    for (const tag of ["a", "b", "c", "d"]) await queue.add(apply("m", tag));
    await until(() => under === 2);
    await queue.add(check("m"));
    await until(() => checked.length === 1);
    gate.resolve();
    await until(async () => (await queue.counts()).active === 0 && (await queue.counts()).waiting === 0);
    expect(most).toBe(2);
  });

  test("tells of what broke, and goes on", async () => {
    await using opened = await open();
    const { queue } = opened;
    const broken: unknown[] = [];
    const done: string[] = [];
    await using _ = working(
      queue,
      async (job) => {
        if (job.mirror === "bad") throw new TypeError("a bug");
        done.push(job.mirror);
      },
      { broken, applies: 1 },
    );
    await queue.add(apply("bad", "latest"));
    await queue.add(apply("good", "latest"));
    await until(() => done.length === 1);
    expect(broken).toMatchObject([{ message: "a bug" }]);
    // the tag is free for the next job
    await queue.add(apply("bad", "latest"));
    await until(() => broken.length === 2);
  });

  test("waits before a job that was added with a delay", async () => {
    await using opened = await open();
    const { queue } = opened;
    const done: string[] = [];
    await queue.add(check("later"), { delayMs: 200 });
    await queue.add(check("now"));
    await using _ = working(queue, async (job) => void done.push(job.mirror));
    await until(() => done.length === 2);
    expect(done).toEqual(["now", "later"]);
  });

  test("lets no job wait longer than the same job that is added later would", async () => {
    await using opened = await open();
    const { queue } = opened;
    // as a process delays it whose clock is a day ahead
    await queue.add(check("a"), { delayMs: 86_400_000 });
    await queue.add(check("a", "2026-01-01T00:30:00.000Z"), { delayMs: 50 });
    // and the other way round it does not wait longer either
    await queue.add(check("b"), { delayMs: 50 });
    await queue.add(check("b", "2026-01-01T00:30:00.000Z"), { delayMs: 86_400_000 });
    const done: string[] = [];
    await using _ = working(queue, async (job) => void done.push(job.mirror));
    await until(() => done.length === 2);
    expect(done.toSorted()).toEqual(["a", "b"]);
    expect(await queue.counts()).toMatchObject({ waiting: 0, delayed: 0 });
  });

  test("forgets the waiting jobs of one mirror", async () => {
    await using opened = await open();
    const { queue } = opened;
    await queue.add(apply("a", "1"));
    await queue.add(check("a"), { delayMs: 60_000 });
    await queue.add(apply("b", "1"));
    expect(await queue.drop("a")).toBe(2);
    const done: string[] = [];
    await using _ = working(queue, async (job) => void done.push(job.mirror));
    await until(() => done.length === 1);
    expect(done).toEqual(["b"]);
    expect(await queue.counts()).toMatchObject({ waiting: 0, delayed: 0 });
  });

  test("stops: no new job, what is under way ends, what takes too long is given back", async () => {
    await using opened = await open();
    const { queue } = opened;
    const begun: string[] = [];
    const workers = queue.work(
      async (job, { signal }) => {
        begun.push(job.mirror);
        await delay(60_000, undefined, { signal });
      },
      { checks: () => 1, applies: 1, onBroken: () => {} },
    );
    await queue.add(apply("a", "latest"));
    await until(() => begun.length === 1);
    await workers.close({ signal: AbortSignal.timeout(50) });
    await queue.add(apply("b", "latest"));
    await delay(50);
    expect(begun).toEqual(["a"]);
  });
});

test("a job that our clock calls overdue starts, although the clocks of the workers are behind", async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 86_400_000 });
  await using opened = await (IMPLEMENTATIONS[1]?.open() ?? Promise.reject(new Error("no Redis")));
  const { queue } = opened;
  await queue.add(check("a"), { delayMs: 100 });
  vi.setSystemTime(Date.now() + 10_000);
  await queue.add(check("a", "2026-01-01T00:30:00.000Z"), { delayMs: 100 });
  vi.useRealTimers();
  const done: string[] = [];
  await using _ = working(queue, async (job) => void done.push(job.mirror));
  await until(() => done.length === 1);
  expect(done).toEqual(["a"]);
});
