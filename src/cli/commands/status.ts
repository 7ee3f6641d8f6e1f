import { Writable } from "node:stream";
import { setTimeout as wait } from "node:timers/promises";

import { openSecretFile } from "../../config/credentials/secret-file.ts";
import type { MirrorDetail } from "../../daemon/view/view.ts";
import { EXIT } from "../exit-code.ts";
import type { CommonFlags, Process } from "../process.ts";
import { chooseNamed, readConfigIfAny } from "../read-config.ts";
import { type DaemonClient, openDaemonClient } from "../status/daemon-client.ts";
import { isWell, type StatusRecord, withFailures } from "../status/status-record.ts";
import { renderDetail, renderStatus, type StatusView } from "../status/status-text.ts";
import { print } from "../terminal/output.ts";

export type StatusFlags = CommonFlags & {
  readonly url?: string;
  readonly tokenFile?: string;
  readonly live?: boolean;
  readonly failing?: boolean;
  readonly watch?: boolean;
};

const WATCH_MS = 2_000;
const CLEAR_SCREEN = "\u001b[H\u001b[J";

/**
 * Asks a running daemon which mirrors are fresh, late or failing, and why. The exit code is 1 when a mirror is late or
 * failing.
 */
export async function statusCommand(
  names: readonly string[],
  flags: StatusFlags,
  process: Process,
): Promise<number> {
  const client = await clientOf(flags, process);
  if (flags.live) return (await client.isAlive(process)) ? EXIT.done : EXIT.some;
  if (!flags.watch) return showOnce(names, client, flags, process);
  const clears = flags.output === "text" && process.stdout.isTTY === true;
  for (;;) {
    const text = await collect((out) => showOnce(names, client, flags, out), process);
    process.stdout.write(clears ? `${CLEAR_SCREEN}${text}` : text);
    await wait(WATCH_MS, undefined, { signal: process.signal });
  }
}

async function clientOf({ url, tokenFile, ...flags }: StatusFlags, process: Process): Promise<DaemonClient> {
  const { daemon } = await readConfigIfAny(flags, process);
  const host = ["0.0.0.0", "::"].includes(daemon.listen.host) ? "127.0.0.1" : daemon.listen.host;
  const base = url ?? `http://${host.includes(":") ? `[${host}]` : host}:${daemon.listen.port}`;
  const file = tokenFile ?? (daemon.token?.kind === "file" ? daemon.token.path : undefined);
  return openDaemonClient(base, file === undefined ? undefined : openSecretFile(file));
}

/** Collects what is printed, so that a screen is replaced at once. */
async function collect(task: (process: Process) => Promise<unknown>, process: Process): Promise<string> {
  let text = "";
  const { isTTY = false, columns = 80 } = process.stdout;
  const writable = new Writable({
    write(chunk: Buffer, _, done) {
      text += chunk.toString();
      done();
    },
  });
  await task({ ...process, stdout: Object.assign(writable, { isTTY, columns }) });
  return text;
}

async function showOnce(
  names: readonly string[],
  client: DaemonClient,
  flags: StatusFlags,
  process: Process,
): Promise<number> {
  const { signal } = process;
  const named = chooseNamed(await client.mirrors({ signal }), names);
  const chosen = flags.failing ? named.filter((mirror) => !isWell(mirror)) : named;
  const mirrors = await withFailures(chosen, client, { signal });
  const [only] = names.length === 1 ? mirrors : [];
  const detail = only && flags.output === "text" ? await client.mirror(only.name, { signal }) : undefined;
  await print(mirrors, () => textOf(mirrors, detail, flags, process), flags, process);
  return mirrors.every(isWell) ? EXIT.done : EXIT.some;
}

function textOf(
  mirrors: readonly StatusRecord[],
  detail: MirrorDetail | undefined,
  { failing }: StatusFlags,
  { stdout }: Process,
): string {
  const view: StatusView = stdout.isTTY
    ? { terminal: { columns: stdout.columns ?? 80, nowMs: Date.now() } }
    : {};
  const [first] = mirrors;
  if (detail && first) return renderDetail(detail, first, view);
  return mirrors.length === 0 && failing ? "no mirror is late or failing" : renderStatus(mirrors, view);
}
