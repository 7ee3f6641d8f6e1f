import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";

import { startRegistry } from "./registry.ts";

/**
 * Writes `dist/cache`: the commands run once, and what V8 compiled for them is kept beside their chunks. Only this Node takes
 * it, with the flags of bin/tagferry; any other compiles anew.
 *
 * Not Node's own compile cache: that one has the user's id in its path, and OpenShift gives out another one each time.
 */
export async function writeCompiled(installation: string): Promise<void> {
  await mkdir(join(installation, "dist/cache"));
  await using directory = await mkdtempDisposable(join(tmpdir(), "tagferry-build-"));
  await using source = await startRegistry();
  await using target = await startRegistry();
  const config = join(directory.path, "tagferry.yaml");
  await writeFile(config, configFor(source.host, target.host));
  const run = runIn(installation);
  await run("--help");
  await run("validate", config);
  await run("plan", "-c", config);
  // to copy, and to find it unchanged
  await run("sync", "-c", config);
  await run("sync", "-c", config);
  await runDaemon(installation, config);
}

function configFor(source: string, target: string): string {
  return `version: 1
registries:
  "${source}": { plainHttp: true }
  "${target}": { plainHttp: true }
mirrors:
  - name: app
    source: ${source}/app
    target: ${target}/copy/app
    tags: { semver: ">=1", newest: 3 }
`;
}

type Run = (...args: readonly string[]) => Promise<void>;

function runIn(installation: string): Run {
  return async (...args) => {
    const child = start(installation, args);
    const [said, [code]] = await Promise.all([
      saidBy(child),
      once(child, "close") as Promise<[number | null]>,
    ]);
    if (code !== 0) throw new Error(`tagferry ${args.join(" ")} ended with ${code}:\n${said}`);
  };
}

/** Until it listens, and is asked for its health; then it is told to stop. */
async function runDaemon(installation: string, config: string): Promise<void> {
  const daemon = start(installation, ["serve", "-c", config, "--listen", "127.0.0.1:0"]);
  const ended = once(daemon, "close") as Promise<[number | null]>;
  const url = await new Promise<string>((resolve, reject) => {
    let said = "";
    daemon.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
      said += chunk;
      const [, found] = /tagferry serve on (\S+)/.exec(said) ?? [];
      if (found !== undefined) resolve(found);
    });
    void ended.then(([code]) => reject(new Error(`tagferry serve ended with ${code}:\n${said}`)));
  });
  await fetch(url);
  await runIn(installation)("status", "--live", "--url", url, "-c", config);
  daemon.kill("SIGTERM");
  const [code] = await ended;
  if (code !== 0) throw new Error(`tagferry serve ended with ${code}`);
}

function start(installation: string, args: readonly string[]): ChildProcess {
  return spawn(join(installation, "bin/tagferry"), args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: `${dirname(process.execPath)}:${process.env["PATH"]}`,
      HOME: "/nonexistent",
      NODE_OPTIONS: `--require=${join(import.meta.dirname, "record.cjs")}`,
      TAGFERRY_FORM: "built",
    },
  });
}

async function saidBy({ stdout, stderr }: ChildProcess): Promise<string> {
  if (!stdout || !stderr) return "";
  return (await Promise.all([text(stdout), text(stderr)])).join("");
}
