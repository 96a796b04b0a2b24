import type { EventLog, LogRecord } from '@tailrace/eventlog/event-log';
import type { Logger } from '@tailrace/platform/logger';
import { inTurns } from './in-turns.ts';
import type { Partition } from './partition.ts';

export interface ReadBackParts {
  readonly eventLog: Pick<EventLog, 'read'>;
  readonly topic: string;
  readonly logger: Pick<Logger, 'warn'>;
  /** Resolves in a later turn of the event loop, after what is ready now. */
  readonly turn: () => Promise<void>;
  readonly onRecords: (partition: number, records: readonly LogRecord[]) => void;
}

/**
 * Reads back what a partition that is being taken over had before it was. The group would hand all of it over at
 * once, with what comes of the partitions that this node serves already; here it is read beside them, a little in
 * each turn of the event loop, and the group hands over what is left.
 */
export class ReadBack {
  readonly #parts: ReadBackParts;

  constructor(parts: ReadBackParts) {
    this.#parts = parts;
  }

  /** Until the partition is recovered, or lost. Never rejects: what could not be read the group hands over. */
  async run(partition: Partition): Promise<void> {
    const { eventLog, topic, logger, turn, onRecords } = this.#parts;
    const { number, next: from, recoveredAt: until } = partition;
    if (partition.role !== 'recovering') return;
    try {
      for await (const records of inTurns(eventLog.read(topic, number, { from, until }), turn)) {
        if (partition.role !== 'recovering' || partition.next < records[0]!.seq) return;
        onRecords(number, records);
      }
    } catch (error) {
      logger.warn({ partition: number, error }, 'a partition could not be read back; the group hands it over');
    }
  }
}
