/**
 * Queues replies to one client while its socket is full. They are few: replies are small, and a socket accepts them
 * long after it stops accepting data. Beyond `bytesMax` the client is too slow.
 */
export class Replies {
  readonly #bytesMax: number;
  readonly #total: { bytes: number };
  #frames: (string | Uint8Array)[] = [];
  #bytes = 0;

  /** `total`: the sum of all sockets, for the metric. */
  constructor(bytesMax: number, total: { bytes: number }) {
    this.#bytesMax = bytesMax;
    this.#total = total;
  }

  get isEmpty(): boolean {
    return this.#frames.length === 0;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Queues a frame. Returns false if it exceeds `bytesMax`. */
  add(frame: string | Uint8Array): boolean {
    const bytes = sizeOf(frame);
    if (this.#bytes + bytes > this.#bytesMax) return false;
    this.#frames.push(frame);
    this.#bytes += bytes;
    this.#total.bytes += bytes;
    return true;
  }

  /** Removes and returns all frames, oldest first. */
  take(): readonly (string | Uint8Array)[] {
    const frames = this.#frames;
    this.#frames = [];
    this.#total.bytes -= this.#bytes;
    this.#bytes = 0;
    return frames;
  }
}

function sizeOf(frame: string | Uint8Array): number {
  return typeof frame === 'string' ? Buffer.byteLength(frame) : frame.length;
}
