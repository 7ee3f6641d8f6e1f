const SLOT_BYTES = 512 * 1024;
/** So many buffers in line, and the socket is asked to pause; TLS then still hands out what it has decrypted. */
const LINE_MAX = 3;

type Slot = { readonly buffer: Buffer; filledBytes: number; takenBytes: number };

/** Memory that no ring needs now: fresh pages cost more than what is read into them. */
const idleBuffers: Buffer[] = [];
const IDLE_BUFFERS_MAX = 16;

/**
 * Large buffers that a socket fills and a reader empties, used again and again.
 *
 * `space` and `filled` are the socket's: it asks for space right after it filled some, and may write there at any time. So
 * the memory changes only within `filled`, and what the reader has is never written to.
 */
export type Ring = {
  /** Where the next bytes go. */
  space(): Buffer;
  /** Takes note of bytes that were written there. */
  filled(bytes: number): void;
  /** What is next in line and lies in one piece, undefined when there is nothing. Valid until the next `take`. */
  take(): Buffer | undefined;
  readonly empty: boolean;
  /** Whether a buffer is full: waiting for more makes no larger piece. */
  readonly piled: boolean;
  /** Whether the socket should wait for the reader. */
  readonly crowded: boolean;
  /** After the socket was closed. What the reader has stays his. */
  release(): void;
};

export function openRing(): Ring {
  let current = openSlot();
  let held: Slot | undefined;
  let line: Slot[] = [current];

  /** What the reader had is his no longer; a buffer that he read to its end is free, unless the socket still fills it. */
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
