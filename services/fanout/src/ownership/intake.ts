import type { LogBatch, LogRecord } from '@tailrace/eventlog/eventlog';
import type { Clock } from '@tailrace/platform/clock';
import { delayBoundsSeconds, Histogram } from '@tailrace/platform/measures';
import type { Span } from '@tailrace/platform/tracing';
import type { FanoutSpans } from '../spans.ts';
import type { Views } from '../views/view.ts';
import type { Partition } from './partition.ts';

/** The way of what is read from the log, by the group or beside it, to the partitions that are here, then to clients and other nodes. */
export class Intake {
  /** Of the oldest report of a fetch, when it goes out to clients here. A metric may put its own in its place. */
  ageSeconds = new Histogram(delayBoundsSeconds);
  readonly #clock: Pick<Clock, 'now'>;
  readonly #partitions: readonly Partition[];
  readonly #views: Pick<Views, 'flush' | 'counts'>;
  readonly #spans: FanoutSpans;
  readonly #onServing: () => void;

  /** `onServing`: a partition has been read back, and is served from now on. */
  constructor(parts: {
    partitions: readonly Partition[];
    views: Pick<Views, 'flush' | 'counts'>;
    spans: FanoutSpans;
    clock: Pick<Clock, 'now'>;
    onServing: () => void;
  }) {
    this.#partitions = parts.partitions;
    this.#views = parts.views;
    this.#spans = parts.spans;
    this.#clock = parts.clock;
    this.#onServing = parts.onServing;
  }

  take(batches: readonly LogBatch[]): void {
    const span = this.#spans.batch(batches, this.#partitions);
    span.run(() => this.#take(batches, span));
    span.end();
  }

  /**
   * A fault in one partition is not handed back to the log, which would hand over the batches of all again, for ever:
   * the others go on, and what this one has not taken is named to the clients with its next batch.
   */
  #accept(partition: Partition, records: readonly LogRecord[]): void {
    try {
      partition.accept(records);
    } catch (error) {
      partition.faults.failed(partition.number, records[0]!, error);
    }
  }

  #take(batches: readonly LogBatch[], span: Span): void {
    let servesMore = false;
    let oldestMs = Number.POSITIVE_INFINITY;
    for (const { partition: number, records } of batches) {
      const partition = this.#partitions[number]!;
      if (partition.role === 'elsewhere') continue;
      const role = partition.role;
      this.#accept(partition, records);
      const takenMs = partition.progress.takeOldestMs();
      if (partition.role !== role) servesMore = true;
      // What is read back is old, and goes to nobody.
      else if (role === 'owned') oldestMs = Math.min(oldestMs, takenMs);
    }
    this.#spans.publish(span, this.#views);
    if (oldestMs < Number.POSITIVE_INFINITY)
      this.ageSeconds.observe(Math.max(0, this.#clock.now() - oldestMs) / 1_000, span.traceparent);
    const here = batches.map(({ partition }) => this.#partitions[partition]!);
    this.#spans.relay(
      span,
      here.filter(({ role }) => role === 'owned'),
    );
    if (servesMore) this.#onServing();
  }
}
