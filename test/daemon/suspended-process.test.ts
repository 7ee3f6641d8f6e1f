import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

import { expect, test } from "vitest";

import type { Run } from "../../src/daemon/records/record-types.ts";
import { openDaemonScene, until } from "../support/daemon-scene.ts";
import { buildImage, pushTo } from "../support/images/images.ts";
import { startServe } from "../support/tagferry.ts";

const MIRRORS = 3;
const STOPPED_MS = 8_000;

/** Whether the kernel has stopped the process. */
async function isStopped(pid: number | undefined): Promise<boolean> {
  return /^State:\s+T/m.test(await readFile(`/proc/${pid}/status`, "utf8"));
}

test("a daemon that was stopped for 8 seconds checks each mirror once for all due times that passed, and is alive", async () => {
  await using scene = await openDaemonScene();
  for (let mirror = 0; mirror < MIRRORS; mirror += 1)
    await pushTo(scene.source, `team/app${mirror}`, buildImage({ seed: "one" }), "1");
  await scene.configure(
    Array.from({ length: MIRRORS }, (_, mirror) => ({
      name: `app${mirror}`,
      source: `${scene.source.host}/team/app${mirror}`,
      target: `imagestream:web/app${mirror}`,
      tags: ["1"],
      referrers: false,
      schedule: "* * * * * *",
    })),
  );
  const { child, url } = await startServe(["-c", scene.file, "--listen", "127.0.0.1:0"]);
  await using stack = new AsyncDisposableStack();
  stack.defer(() => void child.kill("SIGKILL"));
  const runsOf = async (mirror: string): Promise<readonly Run[]> => {
    const answer = await fetch(`${url}/api/v1/runs?mirror=${mirror}`);
    return ((await answer.json()) as { readonly runs: readonly Run[] }).runs;
  };
  const names = Array.from({ length: MIRRORS }, (_, mirror) => `app${mirror}`);
  for (const name of names) await until(async () => (await runsOf(name)).length > 0, { timeoutMs: 20_000 });

  child.kill("SIGSTOP");
  await until(() => isStopped(child.pid));
  // the due time of this very second may have been noticed before
  const stoppedAt = new Date(Date.now() + 1_000).toISOString();
  await delay(STOPPED_MS);
  const wokenAt = new Date().toISOString();
  child.kill("SIGCONT");

  expect((await fetch(`${url}/livez`)).status).toBe(200);
  for (const name of names) {
    await until(async () => (await runsOf(name)).some(({ dueAt }) => dueAt > wokenAt), { timeoutMs: 20_000 });
    const missed = (await runsOf(name)).filter(({ dueAt }) => dueAt > stoppedAt && dueAt <= wokenAt);
    expect(missed.length, name).toBeLessThanOrEqual(1);
  }
  expect((await fetch(`${url}/livez`)).status).toBe(200);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  for (const name of names)
    expect(metrics).toMatch(new RegExp(`^tagferry_mirror_missed_total\\{mirror="${name}"\\} [1-9]`, "m"));
}, 90_000);
