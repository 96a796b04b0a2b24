import type { LogBatch } from '@tailrace/eventlog/eventlog';
import { noSpan, type Tracing } from '@tailrace/platform/tracing';
import type { Views } from '../views/view.ts';
import type { Partition } from './partition.ts';

/** The way of what is read from the log, by the group or beside it, to the partitions that are here, then to clients and other nodes. */
export class Intake {
  readonly #partitions: readonly Partition[];
  readonly #views: Pick<Views, 'flush'>;
  readonly #tracing: Tracing;
  readonly #onServing: () => void;

  /** `onServing`: a partition has been read back, and is served from now on. */
  constructor(parts: {
    partitions: readonly Partition[];
    views: Pick<Views, 'flush'>;
    tracing: Tracing;
    onServing: () => void;
  }) {
    this.#partitions = parts.partitions;
    this.#views = parts.views;
    this.#tracing = parts.tracing;
    this.#onServing = parts.onServing;
  }

  take(batches: readonly LogBatch[]): void {
    const tracing = this.#tracing;
    const span =
      tracing.enabled && tracing.sampled() ? tracing.span('fanout batch', { partitions: batches.length }) : noSpan;
    let servesMore = false;
    for (const { partition: number, records } of batches) {
      const partition = this.#partitions[number]!;
      if (partition.role === 'elsewhere') continue;
      const role = partition.role;
      partition.accept(records);
      if (partition.role !== role) servesMore = true;
    }
    this.#views.flush();
    for (const { partition: number } of batches) {
      const partition = this.#partitions[number]!;
      if (partition.role === 'owned') partition.feed.flush(partition.next);
    }
    if (servesMore) this.#onServing();
    span.end();
  }
}
