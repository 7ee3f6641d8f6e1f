import { openSecretFile } from "../../config/credentials/secret-file.ts";
import type { MirrorStatus } from "../../daemon/view/view.ts";
import { TagferryError } from "../../errors/error.ts";
import { EXIT } from "../exit-code.ts";
import type { CommonFlags, Process } from "../process.ts";
import { chooseNamed, readConfigIfAny } from "../read-config.ts";
import { print } from "../terminal/output.ts";
import { renderStatus } from "../terminal/status-text.ts";

type StatusFlags = CommonFlags & {
  readonly url?: string;
  readonly tokenFile?: string;
  readonly live: boolean;
};

const TIMEOUT_MS = 10_000;

const WELL: readonly MirrorStatus["state"][] = ["fresh", "running", "waiting", "paused"];

/** Asks a running daemon which mirrors are fresh, late or failing. The exit code is 1 when a mirror is late or failing. */
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
    return ok ? EXIT.done : EXIT.some;
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
  return mirrors.every(({ state }) => WELL.includes(state)) ? EXIT.done : EXIT.some;
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
