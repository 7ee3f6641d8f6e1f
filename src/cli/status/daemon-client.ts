import type { MirrorDetail, MirrorStatus } from "../../daemon/view/view.ts";
import { TagferryError } from "../../errors/error.ts";
import type { Cancellable } from "../../lib/cancel.ts";
import { trustSystem } from "../../lib/system-trust.ts";

/** The API of a running daemon. */
export type DaemonClient = {
  isAlive(options?: Cancellable): Promise<boolean>;
  mirrors(options?: Cancellable): Promise<readonly MirrorStatus[]>;
  /** undefined: the mirror does not exist any more. */
  mirror(name: string, options?: Cancellable): Promise<MirrorDetail | undefined>;
};

const TIMEOUT_MS = 10_000;

/** `token` is read for each request, because it may change. */
export function openDaemonClient(base: string, token: (() => Promise<string>) | undefined): DaemonClient {
  const address = baseUrl(base);

  async function get(path: string, { signal }: Cancellable = {}): Promise<Response> {
    const url = new URL(path, address);
    if (url.protocol === "https:") trustSystem();
    const headers = token ? { authorization: `Bearer ${await token()}` } : {};
    const deadline = AbortSignal.timeout(TIMEOUT_MS);
    try {
      return await fetch(url, { headers, signal: signal ? AbortSignal.any([signal, deadline]) : deadline });
    } catch (cause) {
      signal?.throwIfAborted();
      throw new TagferryError("DAEMON_AWAY", `no daemon answers at ${url.origin}`, {
        cause,
        where: url.origin,
        found: reasonOf(cause),
      });
    }
  }

  async function json<T>(answer: Response): Promise<T> {
    const body = await answer.json().then(
      (value: unknown) => value as { readonly message?: unknown } & T,
      () => undefined,
    );
    if (answer.ok && typeof body === "object" && body !== null) return body;
    if (answer.status === 401 || answer.status === 403)
      throw new TagferryError("WEB_UNAUTHORIZED", `${address.origin} refuses the token (${answer.status})`, {
        where: address.origin,
        next: "Name the file with the daemon's token: --token-file FILE, or daemon.tokenFile in the configuration.",
      });
    const said =
      typeof body?.message === "string" ? body.message : `it answers ${answer.status} without JSON`;
    throw new TagferryError("DAEMON_AWAY", `another program answers at ${address.origin}: ${said}`, {
      where: address.origin,
    });
  }

  return {
    isAlive: async (options) => (await get("/livez", options)).ok,
    async mirrors(options) {
      const { mirrors } = await json<{ readonly mirrors?: readonly MirrorStatus[] }>(
        await get("/api/v1/mirrors", options),
      );
      if (Array.isArray(mirrors)) return mirrors as readonly MirrorStatus[];
      throw new TagferryError("DAEMON_AWAY", `another program answers at ${address.origin}: no mirrors`, {
        where: address.origin,
      });
    },
    async mirror(name, options) {
      const answer = await get(`/api/v1/mirrors/${encodeURIComponent(name)}`, options);
      return answer.status === 404 ? undefined : json<MirrorDetail>(answer);
    },
  };
}

/** @throws {TagferryError} USAGE */
function baseUrl(text: string): URL {
  const url = URL.parse(text);
  if (url && ["http:", "https:"].includes(url.protocol)) return url;
  throw new TagferryError("USAGE", `"${text}" is not the address of a daemon`, {
    found: text,
    allowed: "http://HOST:PORT or https://HOST",
    next: /^[\w.-]+(?::\d+)?$/.test(text)
      ? `Write the scheme too: --url http://${text}.`
      : "Write --url http://127.0.0.1:8080, or leave it out: then daemon.listen of the configuration is used.",
  });
}

function reasonOf(cause: unknown): string | undefined {
  if (!(cause instanceof Error)) return undefined;
  const inner = cause.cause instanceof Error ? cause.cause : cause;
  if (cause.name === "TimeoutError") return `no answer within ${TIMEOUT_MS / 1000} s`;
  const code = "code" in inner ? String(inner.code) : undefined;
  return code === undefined || inner.message.includes(code) ? inner.message : `${code} ${inner.message}`;
}
