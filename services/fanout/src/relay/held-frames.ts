import type { tailrace } from '@tailrace/protocol/generated';

/** A frame of an owner. */
export interface HeldFrame {
  readonly frame: tailrace.v1.RelayFrame;
  /** When it was received, monotonic ms. */
  readonly receivedMs: number;
}

/** The frames of one partition that are received while a reply is pending, in the order of receipt, and their bytes. */
export class HeldFrames implements Iterable<HeldFrame> {
  readonly #bytesMax: number;
  #frames: HeldFrame[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a frame. Returns false if the bytes exceed the limit. */
  hold(held: HeldFrame, bytes: number): boolean {
    this.#frames.push(held);
    this.#bytes += bytes;
    return this.#bytes <= this.#bytesMax;
  }

  /**
   * Returns the position up to which the frames of a stream epoch continue from `from` without a gap, and the last of
   * these frames; undefined if none continues.
   */
  through(from: number, streamEpoch: number): { readonly next: number; readonly last: HeldFrame | undefined } {
    let next = from;
    let last: HeldFrame | undefined;
    for (const held of this.#frames) {
      const { frame } = held;
      if (frame.chain !== streamEpoch || frame.previous > next) continue;
      next = Math.max(next, frame.next);
      last = held;
    }
    return { next, last };
  }

  drop(): void {
    this.#frames = [];
    this.#bytes = 0;
  }

  [Symbol.iterator](): Iterator<HeldFrame> {
    return this.#frames[Symbol.iterator]();
  }
}
