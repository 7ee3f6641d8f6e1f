import { TagferryError } from "../../errors/error.ts";

/** The lowest speed of a body. */
export type Floor = {
  /** A body that delivers less than `floorBytesPerSecond` during this time is stalled, even if bytes still arrive. */
  readonly floorWindowMs: number;
  readonly floorBytesPerSecond: number;
};

/**
 * Aborts a body that is too slow. The timeout of the connection notices only silence. Only the time spent waiting for
 * the body counts, because its reader may be slow too.
 *
 * @throws {TagferryError} STALLED
 */
export async function* aboveFloor(
  body: AsyncIterable<Buffer>,
  { floorWindowMs, floorBytesPerSecond }: Floor,
  where: string,
): AsyncGenerator<Buffer, void, void> {
  let waitedMs = 0;
  let windowBytes = 0;
  let askedMs = performance.now();
  for await (const chunk of body) {
    waitedMs += performance.now() - askedMs;
    windowBytes += chunk.length;
    if (waitedMs >= floorWindowMs) {
      if ((windowBytes * 1000) / waitedMs < floorBytesPerSecond)
        throw new TagferryError(
          "STALLED",
          `${where}: only ${windowBytes} bytes in ${Math.round(waitedMs / 1000)} s`,
          { where, found: windowBytes, allowed: `${floorBytesPerSecond} bytes per second` },
        );
      waitedMs = 0;
      windowBytes = 0;
    }
    yield chunk;
    askedMs = performance.now();
  }
}
