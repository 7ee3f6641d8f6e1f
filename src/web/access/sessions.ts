import { createHmac, randomBytes } from "node:crypto";

import type { SessionRecords } from "../../daemon/records/sessions.ts";
import { sameSecret } from "./secret.ts";

export const SESSION_COOKIE = "tagferry_session";
export const SESSION_S = 12 * 3_600;

export type Access = "act" | "read";

/** The tokens as they are now. `read` is undefined when there is no read token. */
export type Tokens = { readonly act: string; readonly read: string | undefined };

/** Sessions of the page. All replicas that share a state store know them, and know which ones were ended. */
export type Sessions = {
  /** The cookie of a new session. */
  begin(token: string): Promise<string>;
  /**
   * What the cookie allows; undefined when it is not valid any more.
   *
   * While the state store is away nobody knows whether the session was ended: then it allows to read, not to act.
   */
  check(cookie: string, tokens: Tokens): Promise<Access | undefined>;
  /** Ends the session for all replicas; a cookie that is no session is ignored. */
  end(cookie: string, tokens: Tokens): Promise<void>;
};

type Session = { readonly id: string; readonly expiresAt: number; readonly signature: string };

/** Sessions that this process ended, in case the state store did not take it. */
const ENDED_MAX = 1_000;

export function openSessions(records: SessionRecords, now: () => number = Date.now): Sessions {
  const endedHere = new Set<string>();
  let lastEpoch: string | undefined;

  async function epoch(): Promise<string> {
    lastEpoch = await records.epoch();
    return lastEpoch;
  }

  /** Throws when the state store is away and this process never read it. */
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

/** A session belongs to the token that began it. Both are compared always, so that the time tells nothing. */
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
