import { TailraceError } from '@tailrace/protocol/error';

/** A counter in a hot path: one addition to a number field. Never goes down. */
export class Counter {
  value = 0;

  add(count = 1): void {
    this.value += count;
  }
}

const bucketsMax = 32;

/** A histogram in a hot path: a scan over at most 32 bounds, two additions, nothing allocated. */
export class Histogram {
  /** Upper bounds, inclusive, rising; everything above the last goes into one bucket more. */
  readonly bounds: Float64Array;
  /** Observations by bucket, not cumulated; one longer than `bounds`. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[]) {
    const rising = bounds.every(
      (bound, index) => Number.isFinite(bound) && (index === 0 || bound > bounds[index - 1]!),
    );
    if (!rising || bounds.length === 0 || bounds.length > bucketsMax) {
      throw new TailraceError(
        'internal',
        `histogram bounds [${bounds.join(', ')}]: 1 to ${bucketsMax} rising numbers are right`,
      );
    }
    this.bounds = Float64Array.from(bounds);
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const { bounds, counts } = this;
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++;
    counts[bucket]!++;
    this.sum += value;
  }
}

/** Bounds for delays from a device to a screen, ms. */
export const delayBoundsMs: readonly number[] = [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];
/** Bounds for sizes of messages, frames and bodies, bytes. */
export const sizeBoundsBytes: readonly number[] = [64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576];
/** Bounds for how many go together in a batch. */
export const batchBounds: readonly number[] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];
