/**
 * Measures one daemon with many mirrors. All are due every minute, and source and cluster answer with a delay.
 *
 *     node bench/many-mirrors.ts                          # 1,000 mirrors, 30 ms, five minutes
 *     node bench/many-mirrors.ts --mirrors 100 --minutes 2
 *     node bench/many-mirrors.ts --bin bin/tagferry       # the source; default: the built form
 *
 * Prints how long after its due time each check ends, and the memory of the daemon. The exit code is 1 if the lateness
 * at the 95th percentile is over 5 s, a check was missed, or the daemon used 190 MB or more.
 */
import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";

import { startCluster } from "../test/support/cluster/cluster.ts";
import { buildImage, pushTo } from "../test/support/images/images.ts";
import { openInstallation } from "../test/support/installation.ts";
import { startRegistry } from "../test/support/registry/registry.ts";
import { temporaryDirectory } from "../test/support/temporary.ts";

const LATENESS_MAX_S = 5;
const RSS_MAX_BYTES = 190_000_000;

const { values } = parseArgs({
  options: {
    mirrors: { type: "string", default: "1000" },
    minutes: { type: "string", default: "5" },
    away: { type: "string", default: "30" },
    bin: { type: "string" },
  },
});
const mirrorCount = Number(values.mirrors);
const awayMs = Number(values.away);

await using stack = new AsyncDisposableStack();
const bin = values.bin ?? stack.use(await openInstallation()).bin;
const directory = stack.use(await temporaryDirectory());
const source = stack.use(await startRegistry());
const cluster = stack.use(await startCluster({ namespaces: ["web"] }));
const image = buildImage({ seed: "many", layers: [500] });
for (let mirror = 0; mirror < mirrorCount; mirror += 1)
  await pushTo(source, `team/app${mirror}`, image, "latest");
source.on({ always: true }, async (_request, respond) => {
  await delay(awayMs);
  return respond();
});
cluster.before(() => delay(awayMs));

const file = directory.join("tagferry.yaml");
await writeFile(
  file,
  JSON.stringify({
    version: 1,
    registries: { [source.host]: { plainHttp: true }, [cluster.registryHost]: { plainHttp: true } },
    clusters: {
      here: {
        kubeconfigFile: await cluster.writeKubeconfig(directory.path),
        registry: cluster.registryHost,
        owner: "many",
      },
    },
    defaults: { schedule: "* * * * *", referrers: false, tags: ["latest"] },
    mirrors: Array.from({ length: mirrorCount }, (_, mirror) => ({
      name: `app${mirror}`,
      source: `${source.host}/team/app${mirror}`,
      target: `imagestream:web/app${mirror}`,
    })),
  }),
);

const child = spawn(
  "setpriv",
  ["--pdeathsig", "KILL", bin, "serve", "-c", file, "--listen", "127.0.0.1:0", "--log-level", "error"],
  { stdio: ["ignore", "ignore", "pipe"] },
);
stack.defer(() => void child.kill("SIGKILL"));
const url = await new Promise<string>((resolve) => {
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    said = `${said}${chunk}`.slice(-10_000);
    const found = /tagferry \w+ on (\S+)/.exec(said)?.[1];
    if (found !== undefined) resolve(found);
  });
});

type Run = {
  readonly id: string;
  readonly state: string;
  readonly cause: string;
  readonly dueAt: string;
  readonly finishedAt?: string;
};

async function get<T>(path: string): Promise<T> {
  const answer = await fetch(`${url}${path}`);
  return (await answer.json()) as T;
}

async function memory(): Promise<{ readonly now: number; readonly peak: number }> {
  const status = await readFile(`/proc/${child.pid}/status`, "utf8");
  const bytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0) * 1024;
  return { now: bytes("VmRSS"), peak: bytes("VmHWM") };
}

const began = Date.now();
// the first copy of everything is not what is measured
for (;;) {
  const { mirrors } = await get<{ mirrors: readonly { readonly state: string }[] }>("/api/v1/mirrors");
  if (mirrors.every(({ state }) => state === "fresh")) break;
  await delay(2_000);
}
console.error(
  `all copied after ${Math.round((Date.now() - began) / 1000)} s, ${JSON.stringify(await memory())}`,
);
const from = new Date().toISOString();
for (let minute = 0; minute < Number(values.minutes); minute += 1) {
  await delay(60_000);
  console.error(`minute ${minute + 1}: ${JSON.stringify(await memory())}`);
}
await delay(1_000);
const until = new Date(Date.now() - 15_000).toISOString();
const lateness: number[] = [];
let missing = 0;
for (let mirror = 0; mirror < mirrorCount; mirror += 1) {
  const { runs } = await get<{ runs: readonly Run[] }>(`/api/v1/runs?mirror=app${mirror}`);
  const due = runs.filter(({ dueAt }) => dueAt >= from && dueAt < until);
  const wanted = Math.floor((Date.parse(until) - Date.parse(from)) / 60_000);
  missing += Math.max(0, wanted - due.length);
  for (const { dueAt, finishedAt } of due)
    lateness.push(finishedAt === undefined ? Infinity : (Date.parse(finishedAt) - Date.parse(dueAt)) / 1000);
}
lateness.sort((one, other) => one - other);
const at = (share: number): number => lateness[Math.floor(lateness.length * share)] ?? 0;
const { peak } = await memory();
console.log(`mirrors ${mirrorCount}, ${awayMs} ms away; checks ${lateness.length}, missed ${missing}`);
const worst = lateness.at(-1) ?? 0;
console.log(
  `lateness: median ${at(0.5).toFixed(1)} s, 95% ${at(0.95).toFixed(1)} s, worst ${worst.toFixed(1)} s`,
);
console.log(`memory of the daemon: at most ${Math.round(peak / 1e6)} MB`);
process.exitCode = missing > 0 || at(0.95) > LATENESS_MAX_S || peak >= RSS_MAX_BYTES ? 1 : 0;
