import { openSecretFile } from "../../config/credentials/secret-file.ts";
import type { MirrorStatus } from "../../daemon/view/view.ts";
import { TagferryError } from "../../errors/error.ts";
import type { CommonFlags, Process } from "../cli.ts";
import { chooseNamed, readConfigIfAny } from "../run.ts";
import { print } from "../terminal/output.ts";
import { table } from "../terminal/table.ts";

export type StatusFlags = CommonFlags & {
  readonly url?: string;
  readonly tokenFile?: string;
  readonly live: boolean;
};

const TIMEOUT_MS = 10_000;

/** Asks a running daemon what is fresh, what is late, what failed. Exit code 1 when something is not well. */
export async function statusCommand(
  names: readonly string[],
  flags: StatusFlags,
  process: Process,
): Promise<number> {
  const { daemon } = await readConfigIfAny(flags, process);
  const host = ["0.0.0.0", "::"].includes(daemon.listen.host) ? "127.0.0.1" : daemon.listen.host;
  const base = flags.url ?? `http://${host.includes(":") ? `[${host}]` : host}:${daemon.listen.port}`;
  if (flags.live) {
    const { ok } = await ask(new URL("/livez", base), {}, process.signal);
    return ok ? 0 : 1;
  }
  const file = flags.tokenFile ?? (daemon.token?.kind === "file" ? daemon.token.path : undefined);
  const headers = file === undefined ? {} : { authorization: `Bearer ${await openSecretFile(file)()}` };
  const answer = await ask(new URL("/api/v1/mirrors", base), headers, process.signal);
  const body = (await answer.json()) as {
    readonly mirrors?: readonly MirrorStatus[];
    readonly message?: string;
  };
  if (!answer.ok || !body.mirrors)
    throw new TagferryError(
      answer.status === 401 ? "WEB_UNAUTHORIZED" : "DAEMON_AWAY",
      `${base}: ${body.message ?? answer.status}`,
      {
        where: base,
      },
    );
  const mirrors = chooseNamed(body.mirrors, names);
  await print(mirrors, () => renderStatus(mirrors), flags, process);
  return mirrors.every(({ state }) => ["fresh", "running", "waiting", "paused"].includes(state)) ? 0 : 1;
}

async function ask(
  url: URL,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Response> {
  try {
    return await fetch(url, { headers, signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]) });
  } catch (cause) {
    signal.throwIfAborted();
    throw new TagferryError("DAEMON_AWAY", `no daemon answers at ${url.origin}`, {
      cause,
      where: url.origin,
    });
  }
}

function renderStatus(mirrors: readonly MirrorStatus[]): string {
  if (mirrors.length === 0) return "there are no mirrors";
  return table([
    ["MIRROR", "STATE", "TAGS", "LAST GOOD RUN", "NEXT RUN", ""],
    ...mirrors.map(({ name, state, tags, failedTags, lastSuccessAt, nextRunAt, failure }) => [
      name,
      state,
      failedTags > 0 ? `${tags} (${failedTags} failed)` : `${tags}`,
      lastSuccessAt ?? "never",
      nextRunAt ?? "when asked",
      failure ? `${failure.code}: ${failure.message}` : "",
    ]),
  ]);
}
