import { randomBytes } from "node:crypto";

import type { StateStore } from "../state/state-store.ts";
import type { RecordsOptions } from "./record-types.ts";

/** The sessions of the page that were ended by a logout. */
export type SessionRecords = {
  /**
   * A random text that is part of every session. After a loss of the store it is a new one. So all sessions end: it is
   * not known which of them were ended before.
   */
  epoch(): Promise<string>;
  /** Records the end of a session, until it would have expired. */
  end(session: string, expiresAt: Date): Promise<void>;
  ended(session: string): Promise<boolean>;
};

const NAMESPACE = "sessions";
const namespaceOf = (session: string): string => `${NAMESPACE}:ended:${session}`;

export function openSessionRecords(store: StateStore, { now }: Pick<RecordsOptions, "now">): SessionRecords {
  return {
    async epoch() {
      const known = await store.get(NAMESPACE, "epoch");
      if (known) return known;
      const made = randomBytes(16).toString("base64url");
      await store.set(NAMESPACE, { epoch: made });
      // another process may have written one meanwhile
      return (await store.get(NAMESPACE, "epoch")) ?? made;
    },
    async end(session, expiresAt) {
      const ttlMs = Math.max(1, expiresAt.getTime() - now().getTime());
      await store.set(namespaceOf(session), { endedAt: now().toISOString() }, { ttlMs });
    },
    ended: async (session) => (await store.get(namespaceOf(session), "endedAt")) !== undefined,
  };
}
