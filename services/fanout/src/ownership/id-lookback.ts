import { type EventLog, recordEnd } from '@tailrace/eventlog/event-log';
import type { Partition } from './partition.ts';
import type { PartitionReader } from './partition-reader.ts';
import { type IdMemory, lookbackStart, lookbackTimeMs, type RecentIds } from './recent-ids.ts';

export interface IdLookbackOptions {
  readonly eventLog: Pick<EventLog, 'read' | 'positionsAt'>;
  readonly topic: string;
  readonly reader: Pick<PartitionReader, 'range'>;
  readonly partitions: readonly Pick<Partition, 'role' | 'headerOf'>[];
  readonly memory: IdMemory;
}

/** Records read at a time to find the first one with a time. */
const firstRecords = 100;

/**
 * Reads the message IDs of the window before a position, which a node needs before it reads a partition from there.
 * NATS does the same at its start (`rebuildDedupe`).
 */
export class IdLookback {
  /** Lookbacks with more records than may be remembered: the window is shorter until it has passed. */
  readonly counts = { shortened: 0 };
  readonly #options: IdLookbackOptions;

  constructor(options: IdLookbackOptions) {
    this.#options = options;
  }

  /**
   * Resolves with the IDs before `from`; `first` is the first position of the log. Rejects if the log cannot be read.
   */
  async before(number: number, from: number, first: number): Promise<RecentIds> {
    const { reader, partitions, memory } = this.#options;
    const ids = memory.detached();
    const partition = partitions[number]!;
    const start = await this.#start(number, from, first);
    let isShort = start.isShort;
    for await (const records of reader.range(number, { from: start.from, until: from })) {
      for (const { key, seq, value, timeMs } of records) {
        if (isShort) ids.wholeFrom(timeMs);
        isShort = false;
        const id = partition.headerOf(key, value)?.id;
        if (id) ids.repeats(key, id, seq, timeMs);
      }
    }
    ids.startAt(from);
    return ids;
  }

  async #start(number: number, from: number, first: number): Promise<ReturnType<typeof lookbackStart>> {
    const { eventLog, topic, memory } = this.#options;
    if (from <= first) return { from, isShort: false };
    const timeMs = lookbackTimeMs(await this.#timeMs(number, from), memory.limits.idWindowMs);
    const at = (await eventLog.positionsAt(topic, timeMs, [number]))[number];
    const start = lookbackStart(at, from, this.#recordsMax(), first);
    if (start.isShort) this.counts.shortened++;
    return start;
  }

  /**
   * Resolves with the time of the first record at or after a position; now, if there is none. Unreadable positions and
   * positions without records have no time.
   */
  async #timeMs(number: number, from: number): Promise<number> {
    const { eventLog, topic, memory } = this.#options;
    for (let at = from; ; ) {
      let next = at;
      for await (const records of eventLog.read(topic, number, { from: at, until: at + firstRecords })) {
        for (const record of records) {
          const { timeMs, unreadable, emptyUntil } = record;
          if (unreadable === undefined && emptyUntil === undefined) return Math.min(timeMs, memory.now());
          next = Math.max(next, recordEnd(record));
        }
      }
      if (next === at) return memory.now();
      at = next;
    }
  }

  /** Returns the share of one partition in `idsMax`. */
  #recordsMax(): number {
    const { partitions, memory } = this.#options;
    const here = partitions.filter(({ role }) => role !== 'elsewhere').length;
    return Math.floor(memory.limits.idsMax / (here + 1));
  }
}
