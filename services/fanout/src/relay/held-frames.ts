import type { tailrace } from '@tailrace/protocol/generated';

/** A frame of an owner. */
export interface HeldFrame {
  readonly previous: number;
  readonly next: number;
  readonly updates: readonly tailrace.v1.IRelayUpdate[];
  readonly unreadable: readonly tailrace.v1.IUnreadableRange[];
  readonly presences: readonly tailrace.v1.IPresence[];
  readonly told: number;
  readonly chain: number;
  readonly watermark: number;
  readonly sentMs: number;
  readonly behindMs: number;
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
  hold(frame: HeldFrame, bytes: number): boolean {
    this.#frames.push(frame);
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
    for (const frame of this.#frames) {
      if (frame.chain !== streamEpoch || frame.previous > next) continue;
      next = Math.max(next, frame.next);
      last = frame;
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
