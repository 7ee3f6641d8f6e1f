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
  /** Aborts when the server closes: then every stream ends. */
  readonly closing: AbortSignal;
  readonly heartbeatMs: number;
};

/** Pages that look on at once. Each holds a connection. */
const STREAMS_MAX = 100;

const KINDS: ReadonlySet<unknown> = new Set<DaemonEvent["kind"]>([
  "run",
  "outcome",
  "progress",
  "mirror",
  "config",
]);

/** What happens, as it happens: server-sent events, one per `DaemonEvent`, named by its kind. */
export function eventRoutes(app: Hono<WebEnv>, options: EventOptions): void {
  let open = 0;
  app.get("/api/v1/events", (context: Context<WebEnv>) => {
    if (open >= STREAMS_MAX) throw new TagferryError("WEB_BUSY", `${STREAMS_MAX} pages look on already`);
    open += 1;
    context.header("X-Accel-Buffering", "no"); // nginx would keep events until it has a page full
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
  /** Ends the connection: who does not read would have us keep all that happens. */
  readonly hangUp: () => void;
};

async function relay(
  stream: SSEStreamingApi,
  { view, closing, heartbeatMs, hangUp }: RelayOptions,
): Promise<void> {
  const gone = new AbortController();
  stream.onAbort(() => gone.abort());
  const signal = AbortSignal.any([gone.signal, closing]);
  // the first bytes tell the browser, and every proxy in between, that it is connected
  await stream.write("retry: 1000\n: tagferry\n\n");
  let beating = false;
  const beat = async (): Promise<void> => {
    if (beating) return hangUp(); // the last one is not even taken yet
    beating = true;
    await stream.write(": still here\n\n");
    beating = false;
  };
  const heart = setInterval(() => void beat(), heartbeatMs);
  try {
    for await (const event of view.events({ signal })) {
      if (!KINDS.has(event.kind)) continue; // anybody who reaches Redis can publish anything
      await stream.writeSSE({ event: event.kind, data: JSON.stringify(redact(event)) });
      if (signal.aborted) return;
    }
  } finally {
    clearInterval(heart);
  }
}
