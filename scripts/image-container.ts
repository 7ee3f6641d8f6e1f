// Runs an image's unpacked root without a container engine, as strictly as a cluster would.

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { setTimeout as wait } from "node:timers/promises";

/** As OpenShift gives them out: no passwd entry has it. */
export const UID = 1_000_680_000;

/** What an image says about how it is run. */
export type ImageConfig = {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly WorkingDir: string;
  readonly StopSignal: string;
  readonly Healthcheck: { readonly Test: readonly string[] };
};

/** As a cluster runs it: read-only root, /tmp and the configuration mounted, process 1 of its own, no privileges to gain. */
const INSIDE = `set -e
root=$1 tmp=$2 etc=$3 uid=$4 directory=$5; shift 5
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount --bind "$tmp" "$root/tmp"
mount --bind "$etc" "$root/etc/tagferry"
mount -o remount,bind,ro "$root/etc/tagferry"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
exec setpriv --no-new-privs chroot --userspec="$uid:0" --groups= "$root" env --chdir="$directory" "$@"`;

export type Container = {
  /** Where the image is unpacked. */
  readonly root: string;
  readonly config: ImageConfig;
  /** What is mounted at /tmp. */
  readonly tmp: string;
  /** What is mounted at /etc/tagferry. */
  readonly etc: string;
};

type Ran = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

type Running = {
  readonly ended: Promise<Ran>;
  /** Waits until it answers at `url`; gives the status, or what it said before it ended. */
  answers(url: string): Promise<number | Ran>;
  /** Sends a signal to its process 1. */
  signal(name: NodeJS.Signals): Promise<void>;
};

export function start({ root, config, tmp, etc }: Container, command: readonly string[]): Running {
  const namespaces = ["--mount", "--pid", "--fork", "--kill-child"];
  const place = [root, tmp, etc, String(UID), config.WorkingDir];
  const child = spawn("unshare", [...namespaces, "sh", "-c", INSIDE, "sh", ...place, ...command], {
    stdio: ["ignore", "pipe", "pipe"],
    // what the image says and nothing of this machine
    env: Object.fromEntries(config.Env.map((line) => line.split(/=(.*)/s).slice(0, 2))),
  });
  const ended = endOf(child);
  return {
    ended,
    async answers(url) {
      for (;;) {
        const turn = wait(100).then(() => undefined);
        const answer = await Promise.race([ended, fetch(url).catch(() => turn)]);
        if (answer) return "status" in answer ? answer.status : answer;
      }
    },
    async signal(name) {
      const first = await readFile(`/proc/${child.pid}/task/${child.pid}/children`, "utf8");
      process.kill(Number(first), name);
    },
  };
}

async function endOf(child: ChildProcessByStdio<null, Readable, Readable>): Promise<Ran> {
  const closed = once(child, "close") as Promise<[number | null]>;
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  return { code, stdout, stderr };
}
