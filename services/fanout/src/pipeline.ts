import type { LogBatch, LogRecord } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import { delayBoundsSeconds, Histogram } from '@tailrace/platform/measures';
import type { Partition, RelayedReports } from './ownership/partition.ts';
import type { Views } from './views/view.ts';

export interface PipelineOptions {
  readonly partitions: readonly Partition[];
  readonly views: Pick<Views, 'flush' | 'counts'>;
  readonly clock: Pick<Clock, 'now'>;
  /** A partition has been read back, and is served from now on. */
  readonly onServing: () => void;
}

/**
 * The path of a reading through this node, from the log or from the node that owns its partition:
 *
 * 1. Its partition accepts it (`Partition.accept`, `acceptRelayed`): checks it, keeps it as a last value, and adds it
 *    to the views of each channel that covers its device (`Views.add`) and to the frame for other nodes
 *    (`RelayFeed.offer`).
 * 2. The views are flushed (`Views.flush`): each encodes what was added, once, and publishes it to its topic.
 * 3. The relay is flushed (`RelayFeed.flush`): what other nodes want goes out in one frame per partition that has any.
 *
 * All of it is one turn of the event loop, per batch or frame. `TracedPipeline` (spans.ts) wraps the steps in spans.
 */
export class Pipeline {
  /** Of the oldest report of a batch or frame, when it is published here. A metric may put its own in their place. */
  logAgeSeconds = new Histogram(delayBoundsSeconds);
  relayAgeSeconds = new Histogram(delayBoundsSeconds);
  /** Of the batch or frame at hand, as frames carry it to other nodes; '' where it is not traced. */
  protected traceparent = '';
  protected readonly partitions: readonly Partition[];
  protected readonly views: Pick<Views, 'flush' | 'counts'>;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #onServing: () => void;

  constructor({ partitions, views, clock, onServing }: PipelineOptions) {
    this.partitions = partitions;
    this.views = views;
    this.#clock = clock;
    this.#onServing = onServing;
  }

  /**
   * Takes what the log has, by the consumer group or read beside it. Batches of partitions that are elsewhere are
   * ignored.
   */
  takeBatches(batches: readonly LogBatch[]): void {
    const relayed: Partition[] = [];
    let servesMore = false;
    let oldestMs = Number.POSITIVE_INFINITY;
    for (const { partition: number, records } of batches) {
      const partition = this.partitions[number]!;
      const { role } = partition;
      if (role === 'elsewhere') continue;
      const receivedMs = this.#accept(partition, records);
      if (partition.role !== role) servesMore = true;
      // What is read back is old, and goes to no client.
      else if (role === 'owned') oldestMs = Math.min(oldestMs, receivedMs);
      if (partition.role === 'owned' && partition.feed.waits) relayed.push(partition);
    }
    this.flushViews();
    this.#observeAge(this.logAgeSeconds, oldestMs);
    if (relayed.length > 0) this.flushRelay(relayed);
    if (servesMore) this.#onServing();
  }

  /** Takes a frame of the owner of a partition that is elsewhere, from position `from` on. */
  takeFrame(partition: Partition, frame: RelayedReports, from: number): void {
    const oldestMs = partition.acceptRelayed(frame, from);
    this.flushViews();
    this.#observeAge(this.relayAgeSeconds, oldestMs);
  }

  /** Publishes what was added to the views. */
  flushViews(): void {
    this.views.flush();
  }

  /** Sends what other nodes want. */
  protected flushRelay(relayed: readonly Partition[]): void {
    for (const { feed, next } of relayed) feed.flush(next, this.traceparent);
  }

  /**
   * An error in one partition is not thrown to the log, which would deliver the batches of all again, for ever: the
   * others go on, and what this one has not processed is named to the clients with its next batch.
   */
  #accept(partition: Partition, records: readonly LogRecord[]): number {
    try {
      return partition.accept(records);
    } catch (error) {
      partition.rejected.failed(partition.number, records[0]!, error);
      return Number.POSITIVE_INFINITY;
    }
  }

  #observeAge(ageSeconds: Histogram, oldestMs: number): void {
    if (oldestMs === Number.POSITIVE_INFINITY) return;
    ageSeconds.observe(Math.max(0, this.#clock.now() - oldestMs) / 1_000, this.traceparent);
  }
}
