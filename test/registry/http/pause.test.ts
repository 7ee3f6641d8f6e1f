import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { TagferryError } from "../../../src/errors/error.ts";
import { inProcessRateLimit } from "../../../src/limits/in-process-rate-limit.ts";
import { openPauseAfter429, type PauseAfter429 } from "../../../src/registry/http/pause.ts";
import { thrownBy } from "../../support/thrown.ts";

const MINUTE_MS = 60_000;
const LIMITED = new TagferryError("RATE_LIMITED", "registry.example: 429", { where: "registry.example" });

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date", "performance"] }));
afterEach(() => void vi.useRealTimers());

function openPause(): PauseAfter429 {
  return openPauseAfter429({
    registry: "registry.example",
    rateLimit: inProcessRateLimit(() => ({ connections: 1 })),
    retry: { baseMs: 1_000, capMs: 30_000 },
    timeouts: { retriesMs: 2 * MINUTE_MS },
  });
}

/** The registry says 429 whenever its pause is over. */
function complains(pause: PauseAfter429, durationMs: number): void {
  for (let passedMs = 0; passedMs <= durationMs; passedMs += 30_000) {
    thrownBy(() => pause.heard(LIMITED));
    vi.advanceTimersByTime(30_000);
  }
}

test("a registry that says 429 is asked again, until it has said nothing else for two minutes", () => {
  const pause = openPause();
  complains(pause, MINUTE_MS);
  expect(pause.mayRetry(LIMITED)).toBe(true);
  complains(pause, 2 * MINUTE_MS);
  expect(pause.mayRetry(LIMITED)).toBe(false);
  pause.answered();
  expect(pause.mayRetry(LIMITED)).toBe(true);
});

test("what it said hours ago says nothing about now", () => {
  const pause = openPause();
  complains(pause, 3 * MINUTE_MS);
  vi.advanceTimersByTime(60 * MINUTE_MS);
  thrownBy(() => pause.heard(LIMITED));
  expect(pause.mayRetry(LIMITED)).toBe(true);
});

test("a pause is over in its time though the clock goes back meanwhile", () => {
  const pause = openPause();
  complains(pause, 3 * MINUTE_MS);
  thrownBy(() => pause.heard(LIMITED));
  vi.setSystemTime(Date.now() - 60 * MINUTE_MS);
  expect(thrownBy(() => pause.check())).toMatchObject({ code: "RATE_LIMITED" });
  vi.advanceTimersByTime(30_000);
  expect(() => pause.check()).not.toThrow();
});
