import { partitionOf } from '@tailrace/protocol/partition';
import { patternMatches } from '@tailrace/protocol/pattern';
import { createPositions, type Positions } from '@tailrace/protocol/position';
import type { Delivery, Reading } from '@tailrace/protocol/report';
import type { Missing } from '@tailrace/protocol/server-message-json';
import { effectiveTime } from '@tailrace/protocol/source-time';

const partitions = 3;
/** Reports kept; the oldest go first. */
const reportsMax = 10_000;

/** What a test server was told to have heard of devices: a log with partitions and positions, as the real one. */
export class TestLog {
  readonly epoch = 'test';
  readonly #reports: Delivery[] = [];
  readonly #next: number[] = new Array(partitions).fill(0);
  /** By device and tag, the report that holds the last value, and the time that it counts by. */
  readonly #last = new Map<string, { readonly delivery: Delivery; readonly timeMs: number }>();
  /** Of each partition, the first position that is still there. */
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

  /** Forgets the oldest reports, as a log does after its retention. Last values stay known. */
  trim(count = this.#reports.length): void {
    for (const { partition, seq } of this.#reports.splice(0, count)) this.#first[partition] = seq + 1;
  }

  /** After everything that is there. */
  end(): Positions {
    return createPositions(
      this.epoch,
      this.#next.map((next, partition) => [partition, next - 1]),
    );
  }

  /** Before what was received at the time. */
  positionAt(from: number): Positions {
    const lasts = this.#next.map((next) => next - 1);
    for (const { received, partition, seq } of this.#reports.toReversed())
      if ((received ?? 0) >= from) lasts[partition] = seq - 1;
    return createPositions(
      this.epoch,
      lasts.map((last, partition) => [partition, last]),
    );
  }

  /** What came after the position, oldest first. */
  after(positions: Positions, channel: string): Delivery[] {
    return this.#reports.filter(
      ({ device, partition, seq }) =>
        patternMatches(channel, device) && (positions.epoch !== this.epoch || seq > (positions.last(partition) ?? -1)),
    );
  }

  /** What of that is not there any more. */
  missing(positions: Positions): Missing[] {
    return this.#first.flatMap((first, partition) => {
      if (positions.epoch !== this.epoch) return [{ partition, from: 0, to: this.#next[partition]!, reason: 'epoch' }];
      const from = (positions.last(partition) ?? -1) + 1;
      return from < first ? [{ partition, from, to: first - 1, reason: 'retention' }] : [];
    });
  }

  /** The reports that hold the last value of every tag of every device of the channel, oldest first. */
  lastValues(channel: string): Delivery[] {
    const all = [...this.#last.values()].map(({ delivery }) => delivery);
    const holding = new Set(all.filter(({ device }) => patternMatches(channel, device)));
    return [...holding].sort((a, b) => a.partition - b.partition || a.seq - b.seq);
  }
}
