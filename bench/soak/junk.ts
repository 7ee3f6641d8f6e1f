import { Queue } from "bullmq";
import { Redis } from "ioredis";

/** Writes into Redis what nobody who knows Tagferry would write, and what an attacker would. */
export type Junk = AsyncDisposable & {
  /** Writes something; says what kind of thing it was. */
  write(): Promise<string>;
};

const PREFIX = "{tagferry}";
const CHANNEL = `${PREFIX}:messages`;
/** Keys of the queue itself: who breaks those stops the queue, whatever the product does. */
const QUEUE_KEY = /^\{tagferry\}:(?:check|apply):/;
const JOB_HASH = /^\{tagferry\}:apply:[^:]+$/;
/** Fields that say something a person may say as well: a mirror is paused, a job is quarantined. */
const BELIEVED = /:quarantine$/;

type Connection = { readonly redis: Redis; readonly queues: readonly Queue[] };
type Stored = { readonly job?: { readonly kind?: string } };

export function openJunk(url: string): Junk {
  const redis = new Redis(url, { maxRetriesPerRequest: 1, commandTimeout: 2_000 });
  redis.on("error", () => {}); // it is killed now and then
  const queues = ["check", "apply"].map((name) => {
    const queue = new Queue(name, { connection: redis, prefix: PREFIX });
    queue.on("error", () => {});
    return queue;
  });
  const connection = { redis, queues };
  const captured: Stored[] = [];
  let count = 0;
  const writers: Readonly<Record<string, () => Promise<void>>> = {
    "junk in a record": () => spoilRecord(connection, (count += 1)),
    "junk on the channel": () => publishJunk(connection, (count += 1)),
    "jobs that are junk": () => addJunk(connection, (count += 1)),
    "unsigned jobs": () => addUnsigned(connection, captured),
    "old jobs again": () => replay(connection, captured),
  };
  const names = Object.keys(writers);
  let turn = 0;
  return {
    async write() {
      turn += 1;
      const name = names[turn % names.length] ?? "";
      await capture(connection, captured);
      await writers[name]?.();
      return name;
    },
    async [Symbol.asyncDispose]() {
      redis.disconnect();
      await Promise.all(queues.map((queue) => queue.close().catch(() => {})));
    },
  };
}

const TEXTS = (count: number): readonly string[] => [
  "",
  "junk",
  "{",
  "null",
  "[]",
  '{"__proto__":{"polluted":true}}',
  String(count),
  "-1",
  "NaN",
  "9007199254740993",
  "8000000000000000",
  `"${"x".repeat(50_000)}"`,
  "[".repeat(5_000),
  '{"tag":"v0","digest":"sha256:00","history":[]}',
  "\u0000\uffff",
];

const oneOf = <T>(list: readonly T[], count: number): T | undefined => list[count % list.length];

/** Overwrites one field of a record, or adds one. */
async function spoilRecord({ redis }: Connection, count: number): Promise<void> {
  const keys = (await redis.keys(`${PREFIX}:*`)).filter((key) => !QUEUE_KEY.test(key) && !BELIEVED.test(key));
  const key = oneOf(keys.toSorted(), count * 7);
  if (key === undefined || (await redis.type(key)) !== "hash") return;
  const fields = (await redis.hkeys(key)).filter((field) => !field.startsWith("paused"));
  const field = count % 4 === 0 ? `junk${count}` : (oneOf(fields.toSorted(), count) ?? "junk");
  await redis.hset(key, field, oneOf(TEXTS(count), count) ?? "");
}

async function publishJunk({ redis }: Connection, count: number): Promise<void> {
  const messages = [
    ...TEXTS(count),
    '{"kind":"mirror","mirror":"app0"}',
    '{"kind":"config","ok":"no"}',
    `{"kind":"run","mirror":"app0","run":"${"r".repeat(100_000)}","state":"done"}`,
  ];
  await redis.publish(CHANNEL, oneOf(messages, count) ?? "");
}

async function addJunk({ queues, redis }: Connection, count: number): Promise<void> {
  const queue = oneOf(queues, count);
  if (count % 5 === 0) await redis.lpush(queue?.toKey("wait") ?? "", `no-such-job-${count}`);
  else await queue?.add("apply", oneOf([{}, { job: {} }, { job: null, attempt: "x" }, "text", 7], count));
}

/** Jobs that were signed once: as they are, and changed. */
async function capture({ redis }: Connection, captured: Stored[]): Promise<void> {
  const keys = (await redis.keys(`${PREFIX}:apply:*`)).filter((key) => JOB_HASH.test(key));
  for (const key of keys.slice(0, 3)) {
    const text = (await redis.type(key)) === "hash" ? await redis.hget(key, "data") : null;
    const data = text === null ? undefined : parsed(text);
    if (data?.job?.kind === "apply") captured.push(data);
  }
  captured.splice(0, captured.length - 200);
}

function parsed(text: string): Stored | undefined {
  try {
    return JSON.parse(text) as Stored;
  } catch {
    return undefined;
  }
}

/** A well-formed job for a tag that nobody asked for, without a signature. */
async function addUnsigned({ queues }: Connection, captured: readonly Stored[]): Promise<void> {
  const text = JSON.stringify(captured.at(-1) ?? {});
  const data = JSON.parse(text.replaceAll(/"tag":"v\d"/g, '"tag":"stolen"')) as object;
  await queues[1]?.add("apply", { ...data, signature: "" });
}

/** A signed job of some time ago, as who reads Redis can keep it: it may publish nothing that is old. */
async function replay({ queues }: Connection, captured: readonly Stored[]): Promise<void> {
  const [oldest] = captured;
  if (oldest) await queues[1]?.add("apply", oldest);
}
