import { createHmac, randomBytes } from "node:crypto";

import type { SessionRecords } from "../../daemon/records/sessions.ts";
import { sameSecret } from "./secret.ts";

export const SESSION_COOKIE = "tagferry_session";
export const SESSION_S = 12 * 3_600;

export type Access = "act" | "read";

/** The current tokens. `read` is undefined when there is no read token. */
export type Tokens = { readonly act: string; readonly read: string | undefined };

/** Sessions of the page. All replicas with the same state store share them, including which ones were ended. */
export type Sessions = {
  /** Returns the cookie of a new session. */
  begin(token: string): Promise<string>;
  /**
   * What the cookie allows; undefined when it is no longer valid.
   *
   * While the state store is unavailable, it is unknown whether the session was ended. Then the cookie allows reading
   * only.
   */
  check(cookie: string, tokens: Tokens): Promise<Access | undefined>;
  /** Ends the session for all replicas. An invalid cookie is ignored. */
  end(cookie: string, tokens: Tokens): Promise<void>;
};

type Session = { readonly id: string; readonly expiresAt: number; readonly signature: string };

/** Sessions that this process ended, in case the state store could not record it. */
const ENDED_MAX = 1_000;

export function openSessions(records: SessionRecords, now: () => number = Date.now): Sessions {
  const endedHere = new Set<string>();
  let lastEpoch: string | undefined;

  async function epoch(): Promise<string> {
    lastEpoch = await records.epoch();
    return lastEpoch;
  }

  /** Throws when the state store is unavailable and this process has never read it. */
  async function knownEpoch(): Promise<{ readonly epoch: string; readonly away: boolean }> {
    try {
      return { epoch: await epoch(), away: false };
    } catch (error) {
      if (lastEpoch === undefined) throw error;
      return { epoch: lastEpoch, away: true };
    }
  }

  return {
    async begin(token) {
      const session = `${randomBytes(24).toString("base64url")}.${now() + SESSION_S * 1000}`;
      return `${session}.${signatureOf(session, token, await epoch())}`;
    },
    async check(cookie, tokens) {
      const session = parseSession(cookie);
      if (!session || session.expiresAt <= now()) return undefined;
      const known = await knownEpoch();
      const access = signedFor(session, tokens, known.epoch);
      if (access === undefined || endedHere.has(session.id)) return undefined;
      if (known.away) return "read";
      const ended = await records.ended(session.id).catch(() => undefined);
      if (ended === undefined) return "read";
      return ended ? undefined : access;
    },
    async end(cookie, tokens) {
      const session = parseSession(cookie);
      if (!session) return;
      const known = await knownEpoch();
      if (signedFor(session, tokens, known.epoch) === undefined) return;
      remember(endedHere, session.id);
      await records.end(session.id, new Date(session.expiresAt));
    },
  };
}

function parseSession(cookie: string): Session | undefined {
  const [id = "", expires = "", signature = "", ...rest] = cookie.split(".");
  if (rest.length > 0 || !/^[\w-]{32}$/.test(id) || !/^\d{1,16}$/.test(expires)) return undefined;
  return { id, expiresAt: Number(expires), signature };
}

/**
 * A session belongs to the token that started it. Always compares both tokens, so that the duration reveals nothing.
 */
function signedFor({ id, expiresAt, signature }: Session, { act, read }: Tokens, epoch: string) {
  const session = `${id}.${expiresAt}`;
  const acts = sameSecret(signature, signatureOf(session, act, epoch));
  const reads = sameSecret(signature, signatureOf(session, read ?? act, epoch));
  if (acts) return "act";
  return reads ? "read" : undefined;
}

function signatureOf(session: string, token: string, epoch: string): string {
  return createHmac("sha256", token).update(`tagferry session ${epoch} ${session}`).digest("base64url");
}

function remember(known: Set<string>, id: string): void {
  known.add(id);
  const [oldest] = known;
  if (known.size > ENDED_MAX && oldest !== undefined) known.delete(oldest);
}
