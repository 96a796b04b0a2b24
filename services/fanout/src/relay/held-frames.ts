import { tailrace } from '@tailrace/protocol/generated';
import { LogReport } from '../channels/log-report.ts';

const { RelayFrame } = tailrace.v1;

/** A frame of an owner as it came over the bus. */
export interface HeldFrame {
  readonly previous: number;
  readonly next: number;
  readonly updates: readonly tailrace.v1.IRelayUpdate[];
  readonly unreadable: readonly tailrace.v1.IUnreadableRange[];
  readonly presences: readonly tailrace.v1.IPresence[];
  readonly told: number;
  readonly chain: number;
  readonly watermark: number;
}

/** The frames of one partition that came while an answer is under way, in order of coming, and their bytes. */
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

  /** False where they are more than may be held. */
  hold(frame: HeldFrame, bytes: number): boolean {
    this.#frames.push(frame);
    this.#bytes += bytes;
    return this.#bytes <= this.#bytesMax;
  }

  /** Up to where those of a chain lead from a position without a gap. */
  through(from: number, chain: number): number {
    let next = from;
    for (const frame of this.#frames) {
      if (frame.chain === chain && frame.previous <= next) next = Math.max(next, frame.next);
    }
    return next;
  }

  drop(): void {
    this.#frames = [];
    this.#bytes = 0;
  }

  [Symbol.iterator](): Iterator<HeldFrame> {
    return this.#frames[Symbol.iterator]();
  }
}

/** Undefined for bytes that are no frame. */
export function frameFrom(bytes: Uint8Array): tailrace.v1.RelayFrame | undefined {
  try {
    return RelayFrame.decode(bytes);
  } catch {
    return undefined;
  }
}

const empty = new Uint8Array();

/** An absent field is 0 or empty in Protobuf. */
export function logReportFrom(partition: number, update: tailrace.v1.IRelayUpdate): LogReport {
  // A copy: the bytes are a slice of a whole frame, which would live as long as the slowest device is silent.
  return new LogReport(partition, update.seq ?? 0, new Uint8Array(update.report ?? empty));
}
