/**
 * Lets a daemon and two workers run for a while on moving tags, while workers, Redis and the source are killed.
 *
 *     npm run soak                     # ten minutes
 *     npm run soak -- --minutes 1      # does it work?
 *
 * Ends with 1 when a tag is wrong in the end, a mirror was missed, or the daemon's memory grew.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";

import { startCluster } from "../test/support/cluster/cluster.ts";
import { until } from "../test/support/daemon-scene.ts";
import { freePort } from "../test/support/free-port.ts";
import { buildImage, pushTo } from "../test/support/images/images.ts";
import { openInstallation } from "../test/support/installation.ts";
import { startRedis } from "../test/support/redis.ts";
import { startRegistry } from "../test/support/registry/registry.ts";
import { createRegistryStore } from "../test/support/registry/store.ts";
import { temporaryDirectory } from "../test/support/temporary.ts";

const MIRRORS = 20;
const TAGS = 3;
const MOVE_MS = 250;
const KILL_WORKER_MS = 20_000;
const RESTART_REDIS_MS = 90_000;
const RESTART_SOURCE_MS = 55_000;
const RSS_MAX_BYTES = 190_000_000;
const SLOPE_MAX_BYTES_PER_MINUTE = 1_000_000;
/** Two locks and some due times: what was under way when the last worker was killed comes again. */
const SETTLE_MS = 150_000;

const { values } = parseArgs({ options: { minutes: { type: "string", default: "10" } } });
const runMs = Number(values.minutes) * 60_000;

await using stack = new AsyncDisposableStack();
// what is measured is what is installed
const { bin } = stack.use(await openInstallation());
const directory = stack.use(await temporaryDirectory());
const redis = stack.use(await startRedis({ appendOnly: true }));
const cluster = stack.use(await startCluster({ namespaces: ["web"] }));
const store = createRegistryStore();
const port = await freePort();
let source = await startRegistry({ store, port });
stack.defer(() => source[Symbol.asyncDispose]());
const counts = { moves: 0, workerKills: 0, redisRestarts: 0, sourceRestarts: 0 };

const repositoryOf = (mirror: number): string => `team/app${mirror}`;
async function move(mirror: number, tag: number): Promise<void> {
  counts.moves += 1;
  const image = buildImage({ seed: `${mirror}-${tag}-${counts.moves}`, layers: [3_000, 1_000] });
  await pushTo(source, repositoryOf(mirror), image, `v${tag}`);
}
for (let mirror = 0; mirror < MIRRORS; mirror += 1)
  for (let tag = 0; tag < TAGS; tag += 1) await move(mirror, tag);

const file = directory.join("tagferry.yaml");
const plainHttp = { plainHttp: true };
const config = {
  version: 1,
  registries: { [source.host]: plainHttp, [cluster.registryHost]: plainHttp },
  clusters: {
    here: {
      kubeconfigFile: await cluster.writeKubeconfig(directory.path),
      registry: cluster.registryHost,
      owner: "soak",
    },
  },
  daemon: { redis: redis.url, grace: "5s" },
  defaults: { schedule: "*/10 * * * * *", referrers: false, tags: { all: true } },
  mirrors: Array.from({ length: MIRRORS }, (_, mirror) => ({
    name: `app${mirror}`,
    source: `${source.host}/${repositoryOf(mirror)}`,
    target: `imagestream:web/app${mirror}`,
  })),
};
await writeFile(file, JSON.stringify(config));

async function start(
  kind: "serve" | "worker",
): Promise<{ readonly child: ChildProcess; readonly url: string }> {
  const args = [kind, "-c", file, "--listen", "127.0.0.1:0", "--log-level", "error"];
  const child = spawn(
    "setpriv",
    ["--pdeathsig", "KILL", bin, ...args, ...(kind === "serve" ? ["--workers", "0"] : [])],
    {
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    said = `${said}${chunk}`.slice(-10_000);
    const url = /tagferry \w+ on (\S+)/.exec(said)?.[1];
    if (url !== undefined) resolve(url);
  });
  child.on("exit", (code) => reject(new Error(`${kind} ended with ${code}:\n${said}`)));
  return { child, url: await promise };
}

const daemon = await start("serve");
const workers = [await start("worker"), await start("worker")];
stack.defer(() => {
  for (const { child } of [daemon, ...workers]) child.kill("SIGKILL");
});

const samples: { readonly atMs: number; readonly rssBytes: number }[] = [];
const stop = new AbortController();
async function every(periodMs: number, task: () => Promise<unknown>): Promise<void> {
  while (!stop.signal.aborted) {
    await delay(periodMs, undefined, { signal: stop.signal }).catch(() => {});
    if (!stop.signal.aborted) await task();
  }
}

const began = performance.now();
const all = Promise.all([
  every(MOVE_MS, () => move(counts.moves % MIRRORS, counts.moves % TAGS)),
  every(5_000, async () => {
    const status = await readFile(`/proc/${daemon.child.pid}/status`, "utf8");
    const rssBytes = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024;
    samples.push({ atMs: performance.now() - began, rssBytes });
  }),
  every(KILL_WORKER_MS, async () => {
    const at = counts.workerKills % workers.length;
    const exit = once(workers[at]?.child ?? daemon.child, "exit");
    workers[at]?.child.kill("SIGKILL");
    await exit;
    workers[at] = await start("worker");
    counts.workerKills += 1;
  }),
  every(RESTART_REDIS_MS, async () => {
    await redis.kill();
    await delay(1_000);
    await redis.start();
    counts.redisRestarts += 1;
  }),
  every(RESTART_SOURCE_MS, async () => {
    await source[Symbol.asyncDispose]();
    await delay(1_000);
    source = await startRegistry({ store, port });
    counts.sourceRestarts += 1;
  }),
]);
const reporting = setInterval(() => {
  const { rssBytes = 0 } = samples.at(-1) ?? {};
  console.error(
    `${Math.round((performance.now() - began) / 1000)} s`,
    counts,
    `${Math.round(rssBytes / 1e6)} MB`,
  );
}, 30_000);
await delay(runMs);
stop.abort();
clearInterval(reporting);
await all;

const wrong = (): string[] =>
  Array.from({ length: MIRRORS }, (_, mirror) => mirror).flatMap((mirror) =>
    Array.from({ length: TAGS }, (_, tag) => `v${tag}`).filter(
      (tag) =>
        cluster.stream("web", `app${mirror}`)?.status?.tags?.find((one) => one.tag === tag)?.items?.[0]
          ?.image !== source.digestOf(repositoryOf(mirror), tag),
    ),
  );
await until(() => wrong().length === 0, { timeoutMs: SETTLE_MS }).catch(() => {});
const answer = await fetch(`${daemon.url}/api/v1/mirrors`);
const { mirrors } = (await answer.json()) as {
  readonly mirrors: readonly {
    readonly name: string;
    readonly lastSuccessAt?: string;
    readonly state: string;
  }[];
};
const now = Date.now();
const missed = mirrors.filter(
  ({ lastSuccessAt }) => lastSuccessAt === undefined || now - Date.parse(lastSuccessAt) > SETTLE_MS,
);

const peakBytes = Math.max(...samples.map(({ rssBytes }) => rssBytes));
const slope = slopeOf(samples.filter(({ atMs }) => atMs > runMs / 4));
const events = Object.values(counts).reduce((sum, count) => sum + count, 0);
console.log(`events ${events}`, counts);
console.log(`tags that are wrong in the end: ${wrong().length} of ${MIRRORS * TAGS}`);
console.log(`mirrors that were missed: ${missed.length}`);
for (const mirror of missed) console.log(JSON.stringify(mirror));
console.log(
  `daemon: at most ${Math.round(peakBytes / 1e6)} MB, ${(slope / 1e6).toFixed(2)} MB a minute after warm-up`,
);
process.exitCode =
  wrong().length > 0 || missed.length > 0 || peakBytes > RSS_MAX_BYTES || slope > SLOPE_MAX_BYTES_PER_MINUTE
    ? 1
    : 0;

/** Least squares, in bytes a minute. */
function slopeOf(points: readonly { readonly atMs: number; readonly rssBytes: number }[]): number {
  const mean = (pick: (point: (typeof points)[number]) => number): number =>
    points.reduce((sum, point) => sum + pick(point), 0) / points.length;
  const [x, y] = [mean(({ atMs }) => atMs), mean(({ rssBytes }) => rssBytes)];
  const over = points.reduce((sum, point) => sum + (point.atMs - x) * (point.rssBytes - y), 0);
  const under = points.reduce((sum, point) => sum + (point.atMs - x) ** 2, 0);
  return under === 0 ? 0 : (over / under) * 60_000;
}
