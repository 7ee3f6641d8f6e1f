import { REDIS_PREFIX, type RedisLink, withRedis } from "./redis.ts";
import type { Shelf } from "./shelf.ts";

const CHANNEL = `${REDIS_PREFIX}:messages`;

/** One hash per place. */
export function redisShelf(link: RedisLink): Shelf {
  const { client } = link;
  const listeners = new Set<(message: string) => void>();
  let subscribed = false;

  /** A connection that listens can do nothing else. ioredis subscribes again when it was cut. */
  function subscribe(): void {
    if (subscribed) return;
    subscribed = true;
    const subscriber = link.open("messages");
    subscriber.on("message", (_channel, message) => {
      for (const listener of listeners) listener(message);
    });
    subscriber.subscribe(CHANNEL).catch(() => {}); // tried again with the connection
  }

  return {
    get: (place, field) => withRedis(async () => (await client.hget(key(place), field)) ?? undefined),
    all: (place) => withRedis(async () => new Map(Object.entries(await client.hgetall(key(place))))),
    put: (place, fields, { keepMs } = {}) =>
      withRedis(async () => {
        if (Object.keys(fields).length === 0) return;
        const writing = client.multi().hset(key(place), fields);
        if (keepMs !== undefined) writing.pexpire(key(place), keepMs);
        await executed(writing);
      }),
    remove: (place, fields) =>
      withRedis(async () => {
        if (!fields) await client.del(key(place));
        else if (fields.length > 0) await client.hdel(key(place), ...fields);
      }),
    add: (place, field, amount) => withRedis(() => client.hincrby(key(place), field, amount)),
    tell: (message) => withRedis(async () => void (await client.publish(CHANNEL, message))),
    listen(onMessage) {
      subscribe();
      listeners.add(onMessage);
      return { [Symbol.dispose]: () => void listeners.delete(onMessage) };
    },
  };
}

const key = (place: string): string => `${REDIS_PREFIX}:${place}`;

/** A transaction tells its failures in its answer. */
async function executed(writing: { exec(): Promise<[Error | null, unknown][] | null> }): Promise<void> {
  for (const [error] of (await writing.exec()) ?? []) if (error) throw error;
}
