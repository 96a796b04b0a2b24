import type { EventLog, LogRecord, ReadRange } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import type { Partition } from './partition.ts';

export interface PartitionReaderOptions {
  readonly eventLog: Pick<EventLog, 'read'>;
  readonly topic: string;
  readonly partitions: readonly Pick<Partition, 'next'>[];
  readonly clock: Pick<Clock, 'sleep'>;
  readonly logger: Pick<Logger, 'warn'>;
  /** Calls once in a later turn of the event loop, after what is ready now. */
  readonly defer: (call: () => void) => void;
  /** How long records are collected, ms; see `pollMs`. */
  readonly flushMs: number;
  readonly onRecords: (partition: number, records: readonly LogRecord[]) => void;
}

/** Maximum of the records processed at a time: about a millisecond. */
const recordsPerTurn = 250;
/** Maximum of such calls in one turn of the event loop, of all partitions together. */
const grantsPerTurn = 4;
/** Minimum interval of two reads of a followed partition, ms: each read is a request to a broker. */
const pollMsMin = 25;
/**
 * Maximum of the reads of all partitions together, a second: less than a tenth of a core. With more than ten
 * partitions, each is read less often.
 */
const pollsPerSecondMax = 400;
const errorPauseMs = 500;

/**
 * Reads partitions of the log beside the consumer group.
 *
 * - **Ranges** (`range`, `readBack`): the records of a partition before its takeover. The group would deliver all of
 *   them at once, together with live records of other partitions. So a few are read in each turn of the event loop,
 *   over all partitions together, and the group delivers the rest.
 * - **Followed partitions** (`follow`): those that this node serves as standby owner, which the group does not deliver
 *   to it. Each is polled. A broker could hold a request until there are records. But it answers the requests of a
 *   connection in order, so every partition would need its own connection. These records are live, so they do not wait
 *   for the ranges.
 */
export class PartitionReader {
  readonly #options: PartitionReaderOptions;
  readonly #loop: SharedLoop;
  /** Followed partitions, each with the number of its follower: one that was stopped and started again has another. */
  readonly #following = new Map<number, number>();
  #followers = 0;

  constructor(options: PartitionReaderOptions) {
    this.#options = options;
    this.#loop = new SharedLoop(options.defer);
  }

  /** Returns the records of a range, a few in each turn of the event loop. Throws if the log cannot be read. */
  range(partition: number, range: ReadRange): AsyncIterable<readonly LogRecord[]> {
    const { eventLog, topic } = this.#options;
    return yielding(eventLog.read(topic, partition, range), () => this.#loop.yieldTurn());
  }

  /** Reads until the partition is recovered, or lost. Never rejects: the group delivers what could not be read. */
  async readBack(partition: Pick<Partition, 'number' | 'role' | 'next' | 'recoveredAt'>): Promise<void> {
    const { logger, onRecords } = this.#options;
    const { number, next: from, recoveredAt: until } = partition;
    if (partition.role !== 'recovering') return;
    try {
      for await (const records of this.range(number, { from, until })) {
        if (partition.role !== 'recovering' || partition.next < records[0]!.seq) return;
        onRecords(number, records);
      }
    } catch (error) {
      logger.warn({ partition: number, error }, 'a partition could not be read back; the group delivers it');
    }
  }

  /** Reads the partition from its `next` on, until `stop`. */
  follow(partition: number): void {
    if (this.#following.has(partition)) return;
    const follower = ++this.#followers;
    this.#following.set(partition, follower);
    void this.#follow(partition, follower);
  }

  /** Stops following a partition: no further records of it are passed on. */
  stop(partition: number): void {
    this.#following.delete(partition);
  }

  /** Interval of two reads of one followed partition, ms. */
  get pollMs(): number {
    return Math.max(pollMsMin, this.#options.flushMs, (this.#following.size * 1_000) / pollsPerSecondMax);
  }

  async #follow(partition: number, follower: number): Promise<void> {
    const { eventLog, topic, clock, logger, defer, partitions, onRecords } = this.#options;
    const isStopped = () => this.#following.get(partition) !== follower;
    const turn = () => new Promise<void>((resolve) => defer(resolve));
    while (!isStopped()) {
      let pauseMs = this.pollMs;
      try {
        const { next: from } = partitions[partition]!;
        for await (const records of yielding(eventLog.read(topic, partition, { from }), turn)) {
          if (isStopped()) return;
          onRecords(partition, records);
        }
      } catch (error) {
        if (isStopped()) return;
        logger.warn({ partition, error }, 'a partition without an owner could not be read; trying again');
        pauseMs = errorPauseMs;
      }
      await clock.sleep(pauseMs);
    }
  }
}

/**
 * Shares the turns of the event loop among all ranges, first come, first served: a node that takes over twenty
 * partitions at once must not spend twenty milliseconds on them in each turn.
 */
class SharedLoop {
  readonly #defer: (call: () => void) => void;
  readonly #waiting: (() => void)[] = [];
  #isDeferred = false;

  constructor(defer: (call: () => void) => void) {
    this.#defer = defer;
  }

  /** Resolves in a later turn of the event loop. */
  yieldTurn(): Promise<void> {
    const turn = new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#arm();
    return turn;
  }

  #arm(): void {
    if (this.#isDeferred) return;
    this.#isDeferred = true;
    this.#defer(() => {
      this.#isDeferred = false;
      for (const resolve of this.#waiting.splice(0, grantsPerTurn)) resolve();
      if (this.#waiting.length > 0) this.#arm();
    });
  }
}

/** Returns the batches in chunks of `recordsPerTurn`, with a turn of the event loop between two. */
async function* yielding(
  batches: AsyncIterable<readonly LogRecord[]>,
  turn: () => Promise<void>,
): AsyncIterable<readonly LogRecord[]> {
  let isFirst = true;
  for await (const batch of batches) {
    for (let from = 0; from < batch.length; from += recordsPerTurn) {
      if (!isFirst) await turn();
      isFirst = false;
      yield from === 0 && batch.length <= recordsPerTurn ? batch : batch.slice(from, from + recordsPerTurn);
    }
  }
}
