import type { Context, Hono } from "hono";
import { type SSEStreamingApi, streamSSE } from "hono/streaming";

import type { DaemonEvent } from "../../daemon/records/record-types.ts";
import type { DaemonView } from "../../daemon/view/view.ts";
import { TagferryError } from "../../errors/error.ts";
import type { Log } from "../../lib/log.ts";
import { redact } from "../../lib/redact.ts";
import type { WebEnv } from "../env.ts";

export type EventOptions = {
  readonly view: DaemonView;
  readonly log: Log;
  /** Aborts when the server closes. Then every stream ends. */
  readonly closing: AbortSignal;
  readonly heartbeatMs: number;
};

/** How many event streams may be open. Each one holds a connection. */
const STREAMS_MAX = 100;

const KINDS: ReadonlySet<unknown> = new Set<DaemonEvent["kind"]>([
  "run",
  "outcome",
  "progress",
  "mirror",
  "config",
]);

/** Server-sent events: one for each `DaemonEvent`, named after its kind. */
export function eventRoutes(app: Hono<WebEnv>, options: EventOptions): void {
  let open = 0;
  app.get("/api/v1/events", (context: Context<WebEnv>) => {
    if (open >= STREAMS_MAX)
      throw new TagferryError("WEB_BUSY", `${STREAMS_MAX} clients read events already`);
    open += 1;
    context.header("X-Accel-Buffering", "no"); // otherwise nginx buffers the events
    return streamSSE(context, async (stream) => {
      try {
        await relay(stream, { ...options, hangUp: () => context.env.outgoing.destroy() });
      } catch (error) {
        options.log.warn({ err: error }, "a stream of events ended early");
      } finally {
        open -= 1;
      }
    });
  });
}

type RelayOptions = EventOptions & {
  /** Closes the connection. A client that does not read would make us buffer all events. */
  readonly hangUp: () => void;
};

async function relay(
  stream: SSEStreamingApi,
  { view, closing, heartbeatMs, hangUp }: RelayOptions,
): Promise<void> {
  const gone = new AbortController();
  stream.onAbort(() => gone.abort());
  const signal = AbortSignal.any([gone.signal, closing]);
  // the first bytes show the browser, and every proxy, that the connection works
  await stream.write("retry: 1000\n: tagferry\n\n");
  let beating = false;
  const beat = async (): Promise<void> => {
    if (beating) return hangUp(); // the client has not read the previous heartbeat
    beating = true;
    await stream.write(": still here\n\n");
    beating = false;
  };
  const heart = setInterval(() => void beat(), heartbeatMs);
  try {
    for await (const event of view.events({ signal })) {
      if (!KINDS.has(event.kind)) continue; // anyone with access to Redis can publish anything
      await stream.writeSSE({ event: event.kind, data: JSON.stringify(redact(event)) });
      if (signal.aborted) return;
    }
  } finally {
    clearInterval(heart);
  }
}
