import { TailraceError } from '@tailrace/protocol/error';
import { type Clock, systemClock } from './clock.ts';
import { parseTraceparent } from './traceparent.ts';

/** A counter for hot paths: one addition to a number field. Never decreases. */
export class Counter {
  value = 0;

  add(count = 1): void {
    this.value += count;
  }
}

const bucketsMax = 32;

/** An observation whose trace is recorded: it leads from a slow bucket to a slow trace. */
export interface Exemplar {
  readonly traceId: string;
  readonly spanId: string;
  readonly value: number;
  /** Epoch ms. */
  readonly timeMs: number;
}

/** A histogram for hot paths: a scan of at most 32 bounds, two additions, and no allocation without a trace. */
export class Histogram {
  /** Upper bounds, inclusive, rising; there is one bucket more for values above the last. */
  readonly bounds: Float64Array;
  /** Observations by bucket, not cumulative; one longer than `bounds`. */
  readonly counts: Float64Array;
  sum = 0;
  /** The last of each bucket. */
  readonly exemplars: (Exemplar | undefined)[];
  readonly #clock: Pick<Clock, 'now'>;

  constructor(bounds: readonly number[], clock: Pick<Clock, 'now'> = systemClock) {
    const rising = bounds.every(
      (bound, index) => Number.isFinite(bound) && (index === 0 || bound > bounds[index - 1]!),
    );
    if (!rising || bounds.length === 0 || bounds.length > bucketsMax) {
      throw new TailraceError(
        'internal',
        `histogram bounds: expected 1 to ${bucketsMax} rising numbers, got [${bounds.join(', ')}]`,
      );
    }
    this.bounds = Float64Array.from(bounds);
    this.counts = new Float64Array(bounds.length + 1);
    this.exemplars = new Array(bounds.length + 1).fill(undefined);
    this.#clock = clock;
  }

  /** `traceparent`: of the span of the observation; empty if it is not recorded. */
  observe(value: number, traceparent = ''): void {
    const { bounds, counts } = this;
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++;
    counts[bucket]!++;
    this.sum += value;
    if (traceparent !== '') this.#setExemplar(bucket, value, traceparent);
  }

  #setExemplar(bucket: number, value: number, traceparent: string): void {
    const position = parseTraceparent(traceparent);
    if (position === undefined) return;
    const { traceId, spanId } = position;
    this.exemplars[bucket] = { traceId, spanId, value, timeMs: this.#clock.now() };
  }
}

/** Bounds for delays from a device to a screen, seconds: half a millisecond to ten seconds. */
export const delayBoundsSeconds: readonly number[] = [
  0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10,
];
/** Bounds for sizes of messages, frames and bodies, bytes. */
export const sizeBoundsBytes: readonly number[] = [64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576];
/** Bounds for the number of items of a batch. */
export const batchBounds: readonly number[] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];
