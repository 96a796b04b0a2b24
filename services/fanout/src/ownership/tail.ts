import type { EventLog, LogRecord } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import { inTurns } from './in-turns.ts';

export interface TailParts {
  readonly eventLog: Pick<EventLog, 'read'>;
  readonly topic: string;
  readonly clock: Clock;
  /** Resolves in a later turn of the event loop, after what is ready now. */
  readonly turn: () => Promise<void>;
  /** How long records gather, ms; see `pollMs`. */
  readonly flushMs: number;
  /** Where the partition's reader is. */
  readonly next: (partition: number) => number;
  readonly onRecords: (partition: number, records: readonly LogRecord[]) => void;
  /** A read failed; it is tried again. */
  readonly onFault: (partition: number, error: unknown) => void;
}

/** Each partition at least so far apart: one read of what has come is one request to a broker. */
const pollMsMin = 25;
/** Reads of all partitions together, a second: less than a tenth of a core. With more than ten partitions each is read less often. */
const pollsPerSecondMax = 400;
const faultPauseMs = 500;

/**
 * Reads partitions outside the group as they grow, by asking for the news again and again. A broker could hold a request until there is news, but answers the
 * requests of one connection in order, so that every partition would need a connection of its own.
 */
export class Tail {
  readonly #parts: TailParts;
  /** The number is of the reading under way: one that was stopped, and begun again since, is another. */
  readonly #running = new Map<number, number>();
  #readings = 0;

  constructor(parts: TailParts) {
    this.#parts = parts;
  }

  /** Reads from `next` of the partition on, until `stop`. */
  start(partition: number): void {
    if (this.#running.has(partition)) return;
    const reading = ++this.#readings;
    this.#running.set(partition, reading);
    void this.#follow(partition, reading);
  }

  /** No record comes after it. */
  stop(partition: number): void {
    this.#running.delete(partition);
  }

  /** Between two reads of one partition, ms. */
  get pollMs(): number {
    return Math.max(pollMsMin, this.#parts.flushMs, (this.#running.size * 1_000) / pollsPerSecondMax);
  }

  async #follow(partition: number, reading: number): Promise<void> {
    const { eventLog, topic, clock, turn, next, onRecords, onFault } = this.#parts;
    const ended = () => this.#running.get(partition) !== reading;
    while (!ended()) {
      let pauseMs = this.pollMs;
      try {
        for await (const records of inTurns(eventLog.read(topic, partition, { from: next(partition) }), turn)) {
          if (ended()) return;
          onRecords(partition, records);
        }
      } catch (error) {
        if (ended()) return;
        onFault(partition, error);
        pauseMs = faultPauseMs;
      }
      await clock.sleep(pauseMs);
    }
  }
}
