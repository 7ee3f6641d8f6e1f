import { describe, expect, test } from "vitest";

import { openSessionRecords } from "../../../src/daemon/records/sessions.ts";
import { fileStateStore } from "../../../src/daemon/state/file.ts";
import { inProcessStateStore, type StateStore } from "../../../src/daemon/state/state-store.ts";
import { TagferryError } from "../../../src/errors/error.ts";
import { openSessions, SESSION_S, type Sessions } from "../../../src/web/access/sessions.ts";
import { SILENT } from "../../support/registry/client.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const TOKENS = { act: "the-token", read: "the-read-token" };

type Replica = { readonly sessions: Sessions; readonly later: (seconds: number) => void };

/** One process of an installation. */
function replica(store: StateStore): Replica {
  let now = Date.parse("2026-01-02T03:04:05Z");
  const records = openSessionRecords(store, { now: () => new Date(now) });
  return {
    sessions: openSessions(records, () => now),
    later: (seconds) => void (now += seconds * 1000),
  };
}

/** A store that can be unavailable, like Redis. */
function fickleStore(): StateStore & { away: boolean } {
  const store = inProcessStateStore();
  const fickle = {
    ...store,
    away: false,
    async get(...asked: Parameters<StateStore["get"]>) {
      if (fickle.away) throw new TagferryError("QUEUE_AWAY", "Redis is away");
      return store.get(...asked);
    },
    async set(...written: Parameters<StateStore["set"]>) {
      if (fickle.away) throw new TagferryError("QUEUE_AWAY", "Redis is away");
      return store.set(...written);
    },
  };
  return fickle;
}

describe("a session", () => {
  test("allows what the token that began it allows", async () => {
    const { sessions } = replica(inProcessStateStore());
    expect(await sessions.check(await sessions.begin(TOKENS.act), TOKENS)).toBe("act");
    expect(await sessions.check(await sessions.begin(TOKENS.read), TOKENS)).toBe("read");
    expect(await sessions.check(await sessions.begin("another"), TOKENS)).toBeUndefined();
  });

  test("of the read token ends when there is no read token any more", async () => {
    const { sessions } = replica(inProcessStateStore());
    const cookie = await sessions.begin(TOKENS.read);
    expect(await sessions.check(cookie, { ...TOKENS, read: undefined })).toBeUndefined();
  });

  test("ends after 12 hours", async () => {
    const { sessions, later } = replica(inProcessStateStore());
    const cookie = await sessions.begin(TOKENS.act);
    later(SESSION_S - 1);
    expect(await sessions.check(cookie, TOKENS)).toBe("act");
    later(1);
    expect(await sessions.check(cookie, TOKENS)).toBeUndefined();
  });

  test("that was begun at one replica is known, and ended, at all", async () => {
    const store = inProcessStateStore();
    const [one, other] = [replica(store), replica(store)];
    const cookie = await one.sessions.begin(TOKENS.act);
    const kept = await one.sessions.begin(TOKENS.act);
    expect(await other.sessions.check(cookie, TOKENS)).toBe("act");
    await other.sessions.end(cookie, TOKENS);
    expect(await one.sessions.check(cookie, TOKENS)).toBeUndefined();
    expect(await one.sessions.check(kept, TOKENS)).toBe("act");
  });

  test("that was ended stays ended after a restart, and the others stay", async () => {
    await using directory = await temporaryDirectory();
    const file = directory.join("state.jsonl");
    let cookie: string;
    let kept: string;
    {
      await using store = await fileStateStore(file, { log: SILENT });
      const { sessions } = replica(store);
      cookie = await sessions.begin(TOKENS.act);
      kept = await sessions.begin(TOKENS.act);
      await sessions.end(cookie, TOKENS);
    }
    await using store = await fileStateStore(file, { log: SILENT });
    const { sessions } = replica(store);
    expect(await sessions.check(cookie, TOKENS)).toBeUndefined();
    expect(await sessions.check(kept, TOKENS)).toBe("act");
  });

  test("ends when the store was lost, since nobody knows any more what was ended", async () => {
    const before = replica(inProcessStateStore());
    const cookie = await before.sessions.begin(TOKENS.act);
    await before.sessions.end(cookie, TOKENS);
    expect(await replica(inProcessStateStore()).sessions.check(cookie, TOKENS)).toBeUndefined();
  });

  test("reads and does not act while the store is away", async () => {
    const store = fickleStore();
    const { sessions } = replica(store);
    const cookie = await sessions.begin(TOKENS.act);
    store.away = true;
    expect(await sessions.check(cookie, TOKENS)).toBe("read");
    store.away = false;
    expect(await sessions.check(cookie, TOKENS)).toBe("act");
  });

  test("does not act while only its epoch cannot be read: the one known here may be an old one", async () => {
    const store = inProcessStateStore();
    const records = openSessionRecords(store, { now: () => new Date() });
    const epochs = [records.epoch(), Promise.reject(new Error("away"))];
    epochs[1]?.catch(() => {}); // read below
    const sessions = openSessions({ ...records, epoch: async () => (await epochs.shift()) ?? "" });
    const cookie = await sessions.begin(TOKENS.act);
    expect(await sessions.check(cookie, TOKENS)).toBe("read");
  });

  test("that is ended while the store is away is ended here, and the caller learns that it is not noted", async () => {
    const store = fickleStore();
    const { sessions } = replica(store);
    const cookie = await sessions.begin(TOKENS.act);
    store.away = true;
    await expect(sessions.end(cookie, TOKENS)).rejects.toMatchObject({ code: "QUEUE_AWAY" });
    store.away = false;
    expect(await sessions.check(cookie, TOKENS)).toBeUndefined();
  });

  test.for(["", "x", "a.b.c", `${"a".repeat(32)}.99999999999999.x`, "x".repeat(4_000)])(
    "is none when the cookie is %j, and nothing is written for it",
    async (cookie) => {
      const store = inProcessStateStore();
      const { sessions } = replica(store);
      expect(await sessions.check(cookie, TOKENS)).toBeUndefined();
      await sessions.end(cookie, TOKENS);
      expect([...store.dump()].filter(({ namespace }) => namespace.includes("ended"))).toEqual([]);
    },
  );
});
