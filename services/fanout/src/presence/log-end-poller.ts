import type { EventLog } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import type { Partition } from '../ownership/partition.ts';

/** For the replies of brokers. With polls 500 ms apart, a broker that hangs interrupts no partition of the others. */
const waitMs = 1_000;

/**
 * Polls the end offsets of the partitions that this node owns, so that it knows up to when it has read them. That
 * distinguishes an idle device from an unavailable log. One poll at a time; a poll that fails, or takes long, counts as
 * no proof of progress.
 */
export class LogEndPoller {
  readonly #eventLog: Pick<EventLog, 'endOffsets'>;
  readonly #topic: string;
  readonly #clock: Pick<Clock, 'now' | 'monotonic'>;
  readonly #partitions: readonly Partition[];
  #isPolling = false;

  constructor(options: {
    eventLog: Pick<EventLog, 'endOffsets'>;
    topic: string;
    clock: Pick<Clock, 'now' | 'monotonic'>;
    partitions: readonly Partition[];
  }) {
    this.#eventLog = options.eventLog;
    this.#topic = options.topic;
    this.#clock = options.clock;
    this.#partitions = options.partitions;
  }

  /** Never rejects. */
  async poll(): Promise<void> {
    if (this.#isPolling || !this.#partitions.some(({ role }) => role === 'owned')) return;
    this.#isPolling = true;
    const monotonicMs = this.#clock.monotonic();
    const epochMs = this.#clock.now();
    try {
      const endOffsets = await this.#eventLog.endOffsets(this.#topic, waitMs);
      for (const partition of this.#partitions) {
        const end = endOffsets[partition.number];
        if (partition.role !== 'owned' || end === undefined) continue;
        partition.progress.onLogEnd(monotonicMs, epochMs, end);
        partition.progress.reach(partition.next);
      }
    } catch {
      // The reader of the partitions reports the error.
    } finally {
      this.#isPolling = false;
    }
  }
}
