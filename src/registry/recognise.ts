import { type Cancellable, unlessAborted } from "../lib/cancel.ts";
import type { TokenTransport } from "./auth/token.ts";
import type { Observations } from "./observations.ts";

export type RecogniseOptions = {
  readonly registryUrl: URL;
  readonly observations: Observations;
  /** Sends a request without credentials and without redirects. */
  readonly send: TokenTransport;
};

/**
 * Finds out whether a registry that looks like distribution is Harbor: only its `/api/version` tells. The returned
 * function asks once, and only while the kind is not known from the configuration, the host or an answer. It never fails.
 */
export function openRecognition({
  registryUrl,
  observations,
  send,
}: RecogniseOptions): (options?: Cancellable) => Promise<void> {
  let asking: Promise<void> | undefined;

  async function ask(): Promise<void> {
    try {
      const url = new URL("/api/version", registryUrl);
      const { status, body } = await send({ method: "GET", url, headers: {} });
      if (status === 200 && isHarborVersion(body)) observations.recognised("harbor");
    } catch {
      // without an answer it stays what it looks like
    }
  }

  return async ({ signal } = {}) => {
    if (!observations.isAssumed()) return;
    asking ??= ask();
    await unlessAborted(asking, signal);
  };
}

/** `{"version":"v2.0"}`. Seen on Harbor v2.16, without credentials. */
function isHarborVersion(body: string): boolean {
  try {
    const json: unknown = JSON.parse(body);
    const version = typeof json === "object" && json !== null && "version" in json ? json.version : undefined;
    return typeof version === "string" && /^v\d/.test(version);
  } catch {
    return false;
  }
}
