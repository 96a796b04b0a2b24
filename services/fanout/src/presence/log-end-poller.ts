import type { EventLog } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import type { Partition } from '../ownership/partition.ts';

/**
 * For the brokers' answers. With looks 500 ms apart, one that stands still costs the others' partitions nothing that
 * clients are told of.
 */
const waitMs = 1_000;

/**
 * Looks every now and then where the partitions end that this node serves, so that it knows up to when it has read them: by that it tells a device that is silent
 * from a log that cannot be heard. One look at a time; one that fails, or takes long, is the very thing that is looked for.
 */
export class LogEndPoller {
  readonly #eventLog: Pick<EventLog, 'ends'>;
  readonly #topic: string;
  readonly #clock: Pick<Clock, 'now' | 'monotonic'>;
  readonly #partitions: readonly Partition[];
  #looking = false;

  constructor(parts: {
    eventLog: Pick<EventLog, 'ends'>;
    topic: string;
    clock: Pick<Clock, 'now' | 'monotonic'>;
    partitions: readonly Partition[];
  }) {
    this.#eventLog = parts.eventLog;
    this.#topic = parts.topic;
    this.#clock = parts.clock;
    this.#partitions = parts.partitions;
  }

  /** Never rejects. */
  async look(): Promise<void> {
    if (this.#looking || !this.#partitions.some(({ role }) => role === 'owned')) return;
    this.#looking = true;
    const monotonicMs = this.#clock.monotonic();
    const epochMs = this.#clock.now();
    try {
      const ends = await this.#eventLog.ends(this.#topic, waitMs);
      for (const partition of this.#partitions) {
        const end = ends[partition.number];
        if (partition.role !== 'owned' || end === undefined) continue;
        partition.progress.look(monotonicMs, epochMs, end);
        partition.reach();
      }
    } catch {
      // Whoever reads the log says what is wrong with it.
    } finally {
      this.#looking = false;
    }
  }
}
