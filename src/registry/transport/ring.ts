const SLOT_BYTES = 512 * 1024;
/** With more buffers than this, the socket is paused. After that, TLS still delivers what it has decrypted. */
const LINE_MAX = 3;

type Slot = { readonly buffer: Buffer; filledBytes: number; takenBytes: number };

/** Buffers that no ring uses now. New memory costs more than the reads into it. */
const idleBuffers: Buffer[] = [];
const IDLE_BUFFERS_MAX = 16;

/**
 * Large buffers that a socket fills and a reader empties. They are reused.
 *
 * The socket calls `space` and `filled`. It requests new space directly after `filled`, and may write there at any
 * time. So the buffer changes only in `filled`, and the piece that the reader has is never overwritten.
 */
export type Ring = {
  /** Where the next bytes go. */
  space(): Buffer;
  /** The socket has written this many bytes there. */
  filled(bytes: number): void;
  /** The next bytes that are contiguous; undefined when there are none. Valid until the next `take`. */
  take(): Buffer | undefined;
  readonly empty: boolean;
  /** Whether a buffer is full, so that waiting does not make the piece larger. */
  readonly piled: boolean;
  /** Whether the socket should wait for the reader. */
  readonly crowded: boolean;
  /** Call this after the socket was closed. The piece that the reader has stays valid. */
  release(): void;
};

export function openRing(): Ring {
  let current = openSlot();
  let held: Slot | undefined;
  let line: Slot[] = [current];

  /** Ends the use of the reader's piece. A buffer that was read is free, unless the socket still fills it. */
  function takeBack(): void {
    if (held && held !== current && held.takenBytes === held.filledBytes) {
      line.shift();
      makeIdle(held);
    }
    held = undefined;
  }

  return {
    space: () => current.buffer.subarray(current.filledBytes),
    filled(bytes) {
      current.filledBytes += bytes;
      if (current.filledBytes < SLOT_BYTES) return;
      current = openSlot();
      line.push(current);
    },
    take() {
      takeBack();
      const [first] = line;
      if (!first || first.takenBytes === first.filledBytes) return undefined;
      const piece = first.buffer.subarray(first.takenBytes, first.filledBytes);
      first.takenBytes = first.filledBytes;
      held = first;
      return piece;
    },
    get empty() {
      return line.every(({ takenBytes, filledBytes }) => takenBytes === filledBytes);
    },
    get piled() {
      return line.length > 1;
    },
    get crowded() {
      return line.length > LINE_MAX;
    },
    release() {
      for (const slot of line) if (slot !== held) makeIdle(slot);
      line = [];
    },
  };
}

function openSlot(): Slot {
  return { buffer: idleBuffers.pop() ?? Buffer.allocUnsafeSlow(SLOT_BYTES), filledBytes: 0, takenBytes: 0 };
}

function makeIdle({ buffer }: Slot): void {
  if (idleBuffers.length < IDLE_BUFFERS_MAX) idleBuffers.push(buffer);
}
