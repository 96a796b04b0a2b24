import { partitionOf } from '@tailrace/protocol/partition';
import { patternMatches } from '@tailrace/protocol/pattern';
import { createPositions, type Positions } from '@tailrace/protocol/position';
import type { Delivery, Reading } from '@tailrace/protocol/report';
import type { Missing } from '@tailrace/protocol/server-message-json';
import { effectiveTime } from '@tailrace/protocol/source-time';

const partitions = 3;
/** Most reports; the oldest are deleted first. */
const reportsMax = 10_000;

/** The log of a test server, with partitions and positions. */
export class TestLog {
  readonly epoch = 'test';
  readonly #reports: Delivery[] = [];
  readonly #next: number[] = new Array(partitions).fill(0);
  /** The report with the last value, and its effective time, by device and tag. */
  readonly #last = new Map<string, { readonly delivery: Delivery; readonly timeMs: number }>();
  /** The first remaining position of each partition. */
  readonly #first: number[] = new Array(partitions).fill(0);

  append(device: string, readings: readonly Reading[], time: number, received: number): Delivery {
    const partition = partitionOf(device, partitions);
    const delivery = { device, partition, seq: this.#next[partition]!++, time, received, readings };
    this.#reports.push(delivery);
    for (const { tag, time: own } of readings) {
      const key = `${device} ${tag}`;
      const timeMs = effectiveTime(delivery, own);
      if (timeMs >= (this.#last.get(key)?.timeMs ?? timeMs)) this.#last.set(key, { delivery, timeMs });
    }
    if (this.#reports.length > reportsMax) this.trim(1);
    return delivery;
  }

  /** Deletes the oldest reports, as a log does after its retention. Last values remain. */
  trim(count = this.#reports.length): void {
    for (const { partition, seq } of this.#reports.splice(0, count)) this.#first[partition] = seq + 1;
  }

  /** Returns the end positions. */
  end(): Positions {
    return createPositions(
      this.epoch,
      this.#next.map((next, partition) => [partition, next - 1]),
    );
  }

  /** Returns the positions before the first reports received at `from` or later. */
  positionAt(from: number): Positions {
    const lasts = this.#next.map((next) => next - 1);
    for (const { received, partition, seq } of this.#reports.toReversed())
      if ((received ?? 0) >= from) lasts[partition] = seq - 1;
    return createPositions(
      this.epoch,
      lasts.map((last, partition) => [partition, last]),
    );
  }

  /** Returns the reports of the channel after the positions, oldest first. */
  after(positions: Positions, channel: string): Delivery[] {
    return this.#reports.filter(
      ({ device, partition, seq }) =>
        patternMatches(channel, device) && (positions.epoch !== this.epoch || seq > (positions.last(partition) ?? -1)),
    );
  }

  /** Returns the ranges after the positions that were deleted. */
  missing(positions: Positions): Missing[] {
    return this.#first.flatMap((first, partition) => {
      if (positions.epoch !== this.epoch) return [{ partition, from: 0, to: this.#next[partition]!, reason: 'epoch' }];
      const from = (positions.last(partition) ?? -1) + 1;
      return from < first ? [{ partition, from, to: first - 1, reason: 'retention' }] : [];
    });
  }

  /** Returns the reports with the last value of every tag of every device of the channel, oldest first. */
  lastValues(channel: string): Delivery[] {
    const all = [...this.#last.values()].map(({ delivery }) => delivery);
    const holding = new Set(all.filter(({ device }) => patternMatches(channel, device)));
    return [...holding].sort((a, b) => a.partition - b.partition || a.seq - b.seq);
  }
}
