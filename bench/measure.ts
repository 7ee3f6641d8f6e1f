import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";

/** What one run of a program took, with everything it started. */
export type Measured = {
  readonly wallS: number;
  /** User and system. */
  readonly cpuS: number;
  /** The most memory it held at a time (VmHWM). */
  readonly peakRssBytes: number;
};

export type Command = {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
};

const POLL_MS = 20;

/** Runs a program to its end; one that fails ends the benchmark, with what it said. */
export async function measure({ program, args, env = {} }: Command): Promise<Measured> {
  // bash adds up what its child and the child's children took, to the millisecond
  const script = 'TIMEFORMAT="TOOK %3R %3U %3S"; time "$@"';
  const child = spawn("bash", ["-c", script, "bash", program, ...args], {
    env: { PATH: process.env["PATH"], HOME: "/nonexistent", NO_COLOR: "1", LC_ALL: "C", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const closed = once(child, "close");
  const watching = peakRss(child);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  await closed;
  const took = /TOOK ([\d.]+) ([\d.]+) ([\d.]+)\s*$/.exec(stderr);
  if (child.exitCode !== 0 || !took)
    throw new Error(`${program} ${args.join(" ")} ended with ${child.exitCode}:\n${stdout}\n${stderr}`);
  const [wallS, userS, systemS] = took.slice(1).map(Number);
  return {
    wallS: wallS ?? 0,
    cpuS: (userS ?? 0) + (systemS ?? 0),
    peakRssBytes: await watching,
  };
}

/** The high-water mark of all descendants, read again and again: it is gone with the process. */
async function peakRss(child: ChildProcess): Promise<number> {
  const marks = new Map<number, number>();
  while (child.exitCode === null && child.signalCode === null) {
    for (const pid of await descendants(child.pid ?? 0)) {
      const kilobytes = Number(/^VmHWM:\s+(\d+) kB/m.exec(await read(`/proc/${pid}/status`))?.[1] ?? 0);
      marks.set(pid, Math.max(marks.get(pid) ?? 0, kilobytes * 1024));
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return marks.values().reduce((sum, bytes) => sum + bytes, 0);
}

async function descendants(pid: number): Promise<number[]> {
  const children = (await read(`/proc/${pid}/task/${pid}/children`)).split(" ").filter(Boolean).map(Number);
  const below = await Promise.all(children.map(descendants));
  return [...children, ...below.flat()];
}

async function read(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => ""); // it ended meanwhile
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length >> 1;
  const [low = 0, high = low] =
    sorted.length % 2 === 1 ? [sorted[middle]] : sorted.slice(middle - 1, middle + 1);
  return (low + high) / 2;
}
