import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { type Breaker, openBreaker } from "../../../src/registry/http/breaker.ts";
import { SILENT } from "../../support/registry/client.ts";
import { thrownBy } from "../../support/thrown.ts";

const SECOND = 1_000;
const policy = {
  failures: 3,
  silentMs: 10 * SECOND,
  restMs: 5 * SECOND,
  restMaxMs: 20 * SECOND,
  log: SILENT,
};

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date", "performance"] }));
afterEach(() => void vi.useRealTimers());

const pass = (durationMs: number): void => void vi.advanceTimersByTime(durationMs);

function fail(breaker: Breaker, tookMs = 4 * SECOND): void {
  using attempt = breaker.begin();
  pass(tookMs);
  attempt.unanswered();
}

function opened(): Breaker {
  const breaker = openBreaker("registry.example", policy);
  for (let time = 0; time < 3; time += 1) fail(breaker);
  return breaker;
}

describe("a registry that does not answer", () => {
  test("is no longer asked after three requests over ten seconds, and that is said with the time of the next", () => {
    const breaker = opened();
    expect(thrownBy(() => breaker.check())).toMatchObject({
      code: "REGISTRY_UNRESPONSIVE",
      details: { where: "registry.example", retryAt: new Date(Date.now() + 5 * SECOND).toISOString() },
    });
    expect(breaker.state()).toMatchObject({ retryAt: new Date(Date.now() + 5 * SECOND) });
  });

  test("is asked on while it is silent for a short time only, however many ask", () => {
    const breaker = openBreaker("registry.example", policy);
    for (let time = 0; time < 50; time += 1) fail(breaker, 100);
    expect(() => breaker.check()).not.toThrow();
  });

  test("is asked on when any request is answered in between", () => {
    const breaker = openBreaker("registry.example", policy);
    for (let time = 0; time < 10; time += 1) {
      fail(breaker, 8 * SECOND);
      breaker.begin().answered();
    }
    expect(breaker.state()).toBeUndefined();
  });

  test("is asked by one request at a time when its rest is over", () => {
    const breaker = opened();
    pass(5 * SECOND);
    using probe = breaker.begin();
    expect(thrownBy(() => breaker.begin())).toMatchObject({ code: "REGISTRY_UNRESPONSIVE" });
    probe.answered();
    expect(() => breaker.begin()).not.toThrow();
    expect(breaker.state()).toBeUndefined();
  });

  test("rests twice as long each time that it does not answer, up to a limit", () => {
    const breaker = opened();
    const rests: number[] = [];
    for (let time = 0; time < 4; time += 1) {
      pass((breaker.state()?.retryAt.getTime() ?? 0) - Date.now());
      fail(breaker);
      rests.push((breaker.state()?.retryAt.getTime() ?? 0) - Date.now());
    }
    expect(rests).toEqual([10_000, 20_000, 20_000, 20_000]);
  });

  test.for([-3_600, 3_600])(
    "is asked again in its time though the clock of the wall is %i s off",
    (jumpS) => {
      const breaker = opened();
      vi.setSystemTime(Date.now() + jumpS * SECOND);
      pass(4 * SECOND);
      expect(() => breaker.check()).toThrow("has not answered");
      pass(1 * SECOND);
      expect(() => breaker.check()).not.toThrow();
    },
  );

  test("is asked by the next one when the request that asked again was called off", () => {
    const breaker = opened();
    pass(5 * SECOND);
    breaker.begin()[Symbol.dispose]();
    expect(() => breaker.begin()).not.toThrow();
  });
});
