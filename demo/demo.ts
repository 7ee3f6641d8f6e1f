// The main job on this machine: a registry, a small cluster, one YAML file, and `bin/tagferry` between them.
// The servers come from test/support; the mirroring goes through the command line only.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { styleText } from "node:util";

import { startCluster, type TestCluster } from "../test/support/cluster/cluster.ts";
import { buildImage, buildIndex, pushTo, signCosign } from "../test/support/images/images.ts";
import { startRegistry, type TestRegistry } from "../test/support/registry/registry.ts";

const BIN = new URL("../bin/tagferry", import.meta.url).pathname;
const endsByItself = process.argv.includes("--once");
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop.abort());

function say(text: string): void {
  console.log(`\n${styleText("bold", text)}`);
}

async function run(...args: readonly string[]): Promise<void> {
  console.log(styleText("cyan", `$ tagferry ${args.join(" ")}`));
  const child = spawn(BIN, args, {
    stdio: "inherit",
    signal: stop.signal,
    env: { ...process.env, HOME: "/nonexistent" },
  });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`tagferry ended with ${code}`);
}

function showStream(cluster: TestCluster): void {
  console.log(styleText("cyan", "$ oc get imagestream shop -n web -o jsonpath=…"));
  for (const { tag, items } of cluster.stream("web", "shop")?.status.tags ?? [])
    console.log(`  ${tag.padEnd(12)} ${items?.[0]?.dockerImageReference ?? "-"}`);
}

function configuration(source: TestRegistry, cluster: TestCluster, kubeconfig: string): string {
  return `# yaml-language-server: $schema=./schema.json
version: 1

registries:                           # both servers of this demo speak plain HTTP
  ${source.host}: { plainHttp: true }
  ${cluster.registryHost}: { plainHttp: true }

clusters:
  demo:
    kubeconfigFile: ${kubeconfig}
    registry: ${cluster.registryHost}

mirrors:
  - name: shop
    source: ${source.host}/acme/shop
    target: imagestream:web/shop      # bytes go into the integrated registry, the tags follow
    tags:
      semver: ">=1.2 <2"
      exclude: ["*-rc*"]
      newest: 2                       # of each variant: -alpine is one
    schedule: "*/30 * * * *"          # for the daemon
`;
}

/** `tagferry serve` with a port of its own, until it is disposed of. */
async function serve(file: string): Promise<AsyncDisposable & { readonly url: string }> {
  const args = [
    "serve",
    "-c",
    file,
    "--listen",
    "127.0.0.1:0",
    "--log-level",
    "info",
    "--log-format",
    "pretty",
  ];
  console.log(styleText("cyan", `$ tagferry ${args.join(" ")}`));
  const child = spawn(BIN, args, {
    stdio: ["ignore", "inherit", "pipe"],
    env: { ...process.env, HOME: "/nonexistent" },
  });
  const { promise: listening, resolve, reject } = Promise.withResolvers<string>();
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    process.stderr.write(chunk);
    said += chunk;
    const url = /tagferry serve on (\S+)/.exec(said)?.[1];
    if (url !== undefined) resolve(url);
  });
  child.on("exit", (code) => reject(new Error(`tagferry serve ended with ${code}`)));
  const url = await listening;
  return {
    url,
    async [Symbol.asyncDispose]() {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
    },
  };
}

/** What the page's button does. */
async function askToSync(url: string): Promise<void> {
  console.log(styleText("cyan", `$ curl -X POST -H "Origin: ${url}" ${url}/api/v1/mirrors/shop/sync`));
  const answer = await fetch(`${url}/api/v1/mirrors/shop/sync`, { method: "POST", headers: { origin: url } });
  if (!answer.ok) throw new Error(`the daemon answered ${answer.status}: ${await answer.text()}`);
}

async function untilPublished(cluster: TestCluster, tag: string): Promise<void> {
  const isThere = (): boolean =>
    cluster.stream("web", "shop")?.status.tags?.some((one) => one.tag === tag) ?? false;
  for (let tries = 0; !isThere(); tries += 1) {
    if (tries > 300) throw new Error(`${tag} did not appear within 30 s`);
    await delay(100, undefined, { signal: stop.signal });
  }
}

async function demo(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "tagferry-demo-"));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const source = stack.use(await startRegistry());
  const cluster = stack.use(await startCluster({ namespaces: ["web"] }));

  say("1. A source registry with images for several platforms, a signature, and tags that no rule selects");
  for (const tag of ["1.1.0", "1.2.0", "1.3.0-rc1"])
    await pushTo(source, "acme/shop", buildImage({ seed: tag, layers: [200_000, 40_000] }), tag);
  const signed = signCosign(buildIndex({ seed: "1.3.0", layers: [400_000, 90_000] }));
  await pushTo(source, "acme/shop", signed, "1.3.0");
  await pushTo(source, "acme/shop", buildImage({ seed: "alpine", layers: [120_000] }), "1.3.0-alpine");
  for (const tag of ["latest", "nightly"]) await pushTo(source, "acme/shop", buildImage({ seed: tag }), tag);
  console.log(`  ${source.host}/acme/shop`);

  say("2. What to mirror, as YAML");
  const file = join(directory, "tagferry.yaml");
  await writeFile(file, configuration(source, cluster, await cluster.writeKubeconfig(directory)));
  console.log(configuration(source, cluster, "…/kubeconfig").replaceAll(/^/gm, "  "));

  say("3. The plan: what sync would do, and why");
  await run("plan", "-c", file, "--explain");

  say("4. The first run: bytes, then tags");
  await run("sync", "-c", file);
  showStream(cluster);

  say("5. The second run: nothing changed, so nothing is written and nothing rolls out");
  await run("sync", "-c", file);

  say("6. Somebody pushes 1.3.0 again at the source: only the new content is copied, and one tag moves");
  await pushTo(source, "acme/shop", buildIndex({ seed: "1.3.0-fixed", layers: [400_000, 90_000] }), "1.3.0");
  await run("plan", "-c", file);
  await run("sync", "-c", file);
  showStream(cluster);

  say("7. The daemon: schedules, workers and a page that shows them");
  await using daemon = await serve(file);
  await pushTo(source, "acme/shop", buildImage({ seed: "1.4.0", layers: [300_000, 60_000] }), "1.4.0");
  await askToSync(daemon.url);
  await untilPublished(cluster, "1.4.0");
  await run("status", "--url", daemon.url);
  showStream(cluster);
  console.log(`\n  The page: ${styleText("bold", daemon.url)}`);

  say("How to go on");
  console.log(`  With Docker Hub and your own cluster:  oc login …, then
    bin/tagferry plan -c config/quickstart.yaml
    bin/tagferry sync -c config/quickstart.yaml
    bin/tagferry serve -c config/quickstart.yaml    # the daemon, http://127.0.0.1:8080
  Every key of the file:  docs/config.md`);
  if (endsByItself) return;
  console.log(`\n  The servers are still up; try it yourself in another terminal:
    bin/tagferry sync -c ${file}
    bin/tagferry tags -c ${file} ${source.host}/acme/shop
  and the daemon's page is at ${daemon.url}
  Ctrl-C ends the demo and leaves nothing behind.`);
  await once(stop.signal, "abort");
}

await demo();
