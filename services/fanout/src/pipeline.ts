import type { LogBatch, LogRecord } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import { delayBoundsSeconds, Histogram } from '@tailrace/platform/measures';
import type { Partition, RelayedReports } from './ownership/partition.ts';
import type { Views } from './views/view.ts';

export interface PipelineOptions {
  readonly partitions: readonly Partition[];
  readonly views: Pick<Views, 'flush' | 'counts'>;
  readonly clock: Pick<Clock, 'now'>;
  /** Called when a partition was read back, and is served from now on. */
  readonly onServing: () => void;
}

/**
 * The path of a reading through this node, from the log or from the node that owns its partition:
 *
 * 1. The partition accepts it (`Partition.accept`, `acceptRelayed`): checks it, updates the last values, and adds it to
 *    the views of the channels that cover its device (`Views.add`), and to the frame for other nodes
 *    (`RelayFeed.offer`).
 * 2. The views are flushed (`Views.flush`): each encodes the added reports once, and publishes them to its topic.
 * 3. The relay is flushed (`RelayFeed.flush`): each partition sends one frame with the reports in which other nodes
 *    have interest.
 *
 * A batch or frame takes one turn of the event loop. `TracedPipeline` (spans.ts) wraps the steps in spans.
 */
export class Pipeline {
  /** Age of the oldest report of a batch or frame when it is published. The metrics replace them by their own. */
  logAgeSeconds = new Histogram(delayBoundsSeconds);
  relayAgeSeconds = new Histogram(delayBoundsSeconds);
  /** The trace of the current batch or frame, which is sent to other nodes; empty if it is not traced. */
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
   * Takes batches of the log, from the consumer group or read beside it. Ignores partitions with the role `elsewhere`.
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
      // Records that are read back are old, and are not published.
      else if (role === 'owned') oldestMs = Math.min(oldestMs, receivedMs);
      if (partition.role === 'owned' && partition.feed.waits) relayed.push(partition);
    }
    this.flushViews();
    this.#observeAge(this.logAgeSeconds, oldestMs);
    if (relayed.length > 0) this.flushRelay(relayed);
    if (servesMore) this.#onServing();
  }

  /** Takes a frame of the owner of a partition with the role `elsewhere`, from position `from` on. */
  takeFrame(partition: Partition, frame: RelayedReports, from: number): void {
    const oldestMs = partition.acceptRelayed(frame, from);
    this.flushViews();
    this.#observeAge(this.relayAgeSeconds, oldestMs);
  }

  /** Publishes the reports that were added to the views. */
  flushViews(): void {
    this.views.flush();
  }

  /** Sends frames to other nodes. */
  protected flushRelay(relayed: readonly Partition[]): void {
    for (const { feed, next } of relayed) feed.flush(next, this.traceparent);
  }

  /**
   * Accepts records. An error of one partition is not passed to the log, which would deliver the batches of all
   * partitions again, without end. The others continue, and the next batch reports what this one has not processed as
   * missing.
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
