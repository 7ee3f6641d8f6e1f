import { describe, expect, test } from "vitest";

import { ERROR_CODES, type ErrorCode } from "../../src/errors/codes.ts";
import { facts, TagferryError } from "../../src/errors/error.ts";
import { retry } from "../../src/errors/retry.ts";

/** Fails so many times with `error`, then gives its attempt. */
function failing(times: number, error: () => Error): (attempt: number) => Promise<number> {
  return async (attempt) => {
    if (attempt <= times) throw error();
    return attempt;
  };
}

const stalled = (): TagferryError => new TagferryError("STALLED", "silence");
const limited = (inMs: number): TagferryError =>
  new TagferryError("RATE_LIMITED", "slow down", { retryAt: new Date(Date.now() + inMs).toISOString() });
const readonly = (details: Record<string, unknown>): TagferryError =>
  new TagferryError("TARGET_READONLY", "no", details);
const quick = { baseMs: 1, capMs: 1 };

describe("retry", () => {
  test("gives the first success, and tells before each pause", async () => {
    const told: string[] = [];
    const onRetry = ({ code }: TagferryError): void => {
      told.push(code);
    };
    expect(await retry(failing(2, stalled), { ...quick, onRetry })).toBe(3);
    expect(told).toEqual(["STALLED", "STALLED"]);
  });

  test("gives up after its attempts, with the last error", async () => {
    let attempts = 0;
    const task = async (attempt: number): Promise<never> => {
      attempts = attempt;
      throw new TagferryError("STALLED", `silence ${attempt}`);
    };
    await expect(retry(task, { ...quick, attempts: 3 })).rejects.toThrow("silence 3");
    expect(attempts).toBe(3);
  });

  test.for(Object.keys(ERROR_CODES) as ErrorCode[])("decides by the code: %s", async (code) => {
    const { retry: kind } = facts(code);
    let attempts = 0;
    const trying = retry(
      async (attempt) => {
        attempts = attempt;
        throw new TagferryError(code, "no");
      },
      { ...quick, attempts: 2 },
    );
    await expect(trying).rejects.toMatchObject({ code });
    expect(attempts).toBe(kind === "again" || code === "RATE_LIMITED" ? 2 : 1);
  });

  test("never repeats what is no error of ours: a bug fails at once", async () => {
    const bug = new TypeError("undefined is not a function");
    await expect(
      retry(
        failing(1, () => bug),
        quick,
      ),
    ).rejects.toBe(bug);
  });

  test.for([
    [0, [0, 0, 0, 0]],
    [0.5, [1, 2, 4, 5]],
    [1, [2, 4, 8, 10]],
  ] as const)("doubles its pauses up to the cap, with jitter %s", async ([random, expected]) => {
    const pauses: number[] = [];
    const onRetry = (_error: TagferryError, pauseMs: number): void => {
      pauses.push(pauseMs);
    };
    const policy = { attempts: 5, baseMs: 2, capMs: 10, random: () => random, onRetry };
    expect(await retry(failing(4, stalled), policy)).toBe(5);
    expect(pauses).toEqual(expected);
  });

  test("waits as long as Retry-After says", async () => {
    const pauses: number[] = [];
    const onRetry = (_error: TagferryError, pauseMs: number): void => {
      pauses.push(pauseMs);
    };
    expect(
      await retry(
        failing(1, () => limited(40)),
        { ...quick, onRetry },
      ),
    ).toBe(2);
    expect(pauses[0]).toBeGreaterThan(10);
    expect(pauses[0]).toBeLessThanOrEqual(40);
  });

  test("waits its own pause when Retry-After lies in the past", async () => {
    const pauses: number[] = [];
    const onRetry = (_error: TagferryError, pauseMs: number): void => {
      pauses.push(pauseMs);
    };
    await retry(
      failing(1, () => limited(-60_000)),
      { baseMs: 8, capMs: 8, random: () => 0.5, onRetry },
    );
    expect(pauses).toEqual([4]);
  });

  test("does not wait longer than its patience: then it is the caller's failure, at once", async () => {
    let attempts = 0;
    const task = async (attempt: number): Promise<never> => {
      attempts = attempt;
      throw limited(36_000_000);
    };
    await expect(retry(task, { ...quick, patienceMs: 120_000 })).rejects.toMatchObject({
      code: "RATE_LIMITED",
    });
    expect(attempts).toBe(1);
  });

  test("repeats what has to wait until later only when a time is known", async () => {
    await expect(
      retry(
        failing(1, () => readonly({})),
        quick,
      ),
    ).rejects.toMatchObject({ code: "TARGET_READONLY" });
    const soon = { retryAt: new Date(Date.now() + 5).toISOString() };
    expect(
      await retry(
        failing(1, () => readonly(soon)),
        quick,
      ),
    ).toBe(2);
  });

  test("an abort ends the pause, and is what the caller sees", async () => {
    const stop = new AbortController();
    const trying = retry(failing(9, stalled), {
      baseMs: 1_000_000,
      capMs: 1_000_000,
      patienceMs: 2_000_000,
      random: () => 0.9,
      signal: stop.signal,
      onRetry: () => stop.abort(new Error("enough")),
    });
    await expect(trying).rejects.toThrow("enough");
  });

  test("an abort while the task runs is what the caller sees, not the task's error", async () => {
    const stop = new AbortController();
    const task = async (): Promise<never> => {
      stop.abort(new Error("enough"));
      throw stalled();
    };
    await expect(retry(task, { ...quick, signal: stop.signal })).rejects.toThrow("enough");
  });
});
