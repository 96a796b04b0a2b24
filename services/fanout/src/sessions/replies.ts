/**
 * Replies to one client that have no room in its socket: a few, because they are small and a socket takes them long after it takes no more data. Bounded by
 * `bytesMax`; beyond it the client is too slow.
 */
export class Replies {
  readonly #bytesMax: number;
  readonly #total: { bytes: number };
  #frames: (string | Uint8Array)[] = [];
  #bytes = 0;

  /** `total`: of all sockets, for the metric. */
  constructor(bytesMax: number, total: { bytes: number }) {
    this.#bytesMax = bytesMax;
    this.#total = total;
  }

  get empty(): boolean {
    return this.#frames.length === 0;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether there was room for it. */
  add(frame: string | Uint8Array): boolean {
    const bytes = sizeOf(frame);
    if (this.#bytes + bytes > this.#bytesMax) return false;
    this.#frames.push(frame);
    this.#bytes += bytes;
    this.#total.bytes += bytes;
    return true;
  }

  /** All of them, oldest first. */
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
