import { REDIS_PREFIX, type RedisLink, withRedis } from "../redis/connection.ts";
import { LARGEST, type StateStore } from "./state-store.ts";

const CHANNEL = `${REDIS_PREFIX}:messages`;

const RAISE = `
local known = tonumber(redis.call("hget", KEYS[1], ARGV[1]))
local raised = tonumber(ARGV[2])
if known and known < ${LARGEST} then raised = math.max(known + tonumber(ARGV[3]), raised) end
local text = string.format("%.0f", raised)
redis.call("hset", KEYS[1], ARGV[1], text)
return text`;

const ADD = `
local known = tonumber(redis.call("hget", KEYS[1], ARGV[1]))
if not known or known ~= math.floor(known) or math.abs(known) > ${Number.MAX_SAFE_INTEGER} then known = 0 end
local text = string.format("%.0f", known + tonumber(ARGV[2]))
redis.call("hset", KEYS[1], ARGV[1], text)
return text`;

/** One hash per namespace. */
export function redisStateStore(link: RedisLink): StateStore {
  const { client } = link;
  const listeners = new Set<(message: string) => void>();
  let subscribed = false;

  /** A connection that subscribes can do nothing else. ioredis subscribes again after a reconnect. */
  function subscribe(): void {
    if (subscribed) return;
    subscribed = true;
    const subscriber = link.open("messages");
    subscriber.on("message", (_channel, message) => {
      for (const listener of listeners) listener(message);
    });
    subscriber.subscribe(CHANNEL).catch(() => {}); // tried again at the next connection
  }

  return {
    get: (namespace, field) => withRedis(async () => (await client.hget(key(namespace), field)) ?? undefined),
    all: (namespace) => withRedis(async () => new Map(Object.entries(await client.hgetall(key(namespace))))),
    set: (namespace, fields, { ttlMs } = {}) =>
      withRedis(async () => {
        if (Object.keys(fields).length === 0) return;
        const writing = client.multi().hset(key(namespace), fields);
        if (ttlMs !== undefined) writing.pexpire(key(namespace), ttlMs);
        await executed(writing);
      }),
    remove: (namespace, fields) =>
      withRedis(async () => {
        if (!fields) await client.del(key(namespace));
        else if (fields.length > 0) await client.hdel(key(namespace), ...fields);
      }),
    add: (namespace, field, amount) =>
      withRedis(async () => Number(await client.eval(ADD, 1, key(namespace), field, amount))),
    raise: (namespace, field, { atLeast, step }) =>
      withRedis(async () => Number(await client.eval(RAISE, 1, key(namespace), field, atLeast, step))),
    publish: (message) => withRedis(async () => void (await client.publish(CHANNEL, message))),
    subscribe(onMessage) {
      subscribe();
      listeners.add(onMessage);
      return { [Symbol.dispose]: () => void listeners.delete(onMessage) };
    },
  };
}

const key = (namespace: string): string => `${REDIS_PREFIX}:${namespace}`;

/** A transaction reports the failures of its commands in its answer. */
async function executed(writing: { exec(): Promise<[Error | null, unknown][] | null> }): Promise<void> {
  for (const [error] of (await writing.exec()) ?? []) if (error) throw error;
}
