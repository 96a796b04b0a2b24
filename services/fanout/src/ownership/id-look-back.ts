import { type EventLog, recordEnd } from '@tailrace/eventlog/event-log';
import { inTurns } from './in-turns.ts';
import type { Partition } from './partition.ts';
import { type IdMemory, lookBackStart, lookBackTimeMs, type RecentIds } from './recent-ids.ts';

export interface IdLookBackParts {
  readonly eventLog: Pick<EventLog, 'read' | 'positionsAt'>;
  readonly topic: string;
  readonly partitions: readonly Pick<Partition, 'role' | 'headerOf'>[];
  readonly memory: IdMemory;
  /** Resolves in a later turn of the event loop, after what is ready now. */
  readonly turn: () => Promise<void>;
}

/** Records in which the one is looked for that says at which time a range begins. */
const firstRecords = 100;

/**
 * What a node has to know of message IDs before it begins to read a partition: those of the window before. NATS does
 * the same at its start (`rebuildDedupe`). The node serves other partitions meanwhile, so it is read a little in each
 * turn of the event loop.
 */
export class IdLookBack {
  /** Times that there were more records than may be remembered: the window is shorter then, until it has passed. */
  readonly counts = { shortened: 0 };
  readonly #parts: IdLookBackParts;

  constructor(parts: IdLookBackParts) {
    this.#parts = parts;
  }

  /** For reading on from `from`; the log begins at `first`. Rejects where the log cannot be read. */
  async before(number: number, from: number, first: number): Promise<RecentIds> {
    const { eventLog, topic, partitions, memory, turn } = this.#parts;
    const ids = memory.apart();
    const partition = partitions[number]!;
    const lookFrom = await this.#lookFrom(number, from, first);
    let isShort = lookFrom.isShort;
    for await (const records of inTurns(eventLog.read(topic, number, { from: lookFrom.from, until: from }), turn)) {
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

  async #lookFrom(number: number, from: number, first: number): Promise<ReturnType<typeof lookBackStart>> {
    const { eventLog, topic, memory } = this.#parts;
    if (from <= first) return { from, isShort: false };
    const timeMs = lookBackTimeMs(await this.#timeMs(number, from), memory.limits.idWindowMs);
    const at = (await eventLog.positionsAt(topic, timeMs, [number]))[number];
    const start = lookBackStart(at, from, this.#recordsMax(), first);
    if (start.isShort) this.counts.shortened++;
    return start;
  }

  /**
   * When the first record from there on was appended, or now. What stands for positions that hold no record, or cannot
   * be read, has no time.
   */
  async #timeMs(number: number, from: number): Promise<number> {
    const { eventLog, topic, memory } = this.#parts;
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

  /** What one partition may have of all that is remembered. */
  #recordsMax(): number {
    const { partitions, memory } = this.#parts;
    const here = partitions.filter(({ role }) => role !== 'elsewhere').length;
    return Math.floor(memory.limits.idsMax / (here + 1));
  }
}
