import type { Clock, Timer } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import { tailraceErrorFrom } from '@tailrace/protocol/error';
import { boundsOf, type EventLog, type LogRecord, recordEnd, type TopicSpec } from './event-log.ts';

/** How often a process checks whether a topic with an unchanged end was re-created. */
const epochCheckMs = 5_000;
/** Shortest time between two warnings that the end is before the position, ms. */
const warningEveryMs = 60_000;

export interface TopicPollerOptions {
  readonly eventLog: Pick<EventLog, 'ensureTopic' | 'describeTopic' | 'read' | 'bounds'>;
  /** A topic with one partition. */
  readonly spec: TopicSpec;
  /** In log messages, such as `the control topic`. */
  readonly what: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly pollMs: number;
  /** Called with further records, in order. After an error they are read again. */
  readonly onRecords: (records: readonly LogRecord[]) => void;
  /** Called before the topic is read again from its first record. Default: nothing. */
  readonly onRestart?: () => void;
  /** Called when the topic was read to its end. After an error it is called again, with the next end. */
  readonly onEnd: () => void;
}

/**
 * Follows a small topic of one partition: reads all of it in `start`, and polls it afterwards.
 *
 * The topic is read again from its first record if it was re-created, or if its end is before the position: then an
 * unclean leader election has removed records, or the answer is outdated. This cannot be distinguished, and new records
 * may follow at positions that were read before.
 */
export class TopicPoller {
  readonly counts = { readFailures: 0 };
  readonly #options: TopicPollerOptions;
  readonly #onShorter: LimitedWarning;
  /** The position after the last record that was read. */
  #next = 0;
  /** The epoch of `#next`, and when it was checked. */
  #epoch = '';
  #epochAtMs = 0;
  #reading: Promise<void> | undefined;
  #poller: Timer | undefined;
  #readAtMs: number | undefined;
  #isFailing = false;
  #isStopped = false;

  constructor(options: TopicPollerOptions) {
    this.#options = options;
    const { logger, clock, what } = options;
    const sentence = `${what} has lost records, or a broker is behind; it is read again`;
    this.#onShorter = new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () => clock.monotonic());
  }

  /** Creates the topic if it is missing and reads all of it. Rejects as `ensureTopic` and `read` do. */
  async start(): Promise<void> {
    const { eventLog, spec, clock, pollMs } = this.#options;
    const { epoch } = await eventLog.ensureTopic(spec);
    this.#epoch = epoch;
    this.#epochAtMs = clock.monotonic();
    await this.#read();
    if (this.#isStopped) return;
    this.#poller = clock.every(pollMs, () => void this.poll());
  }

  stop(): void {
    this.#isStopped = true;
    this.#poller?.cancel();
  }

  /** Time since the topic was last read to its end, ms. Infinite before the first read. */
  get readAgeMs(): number {
    return this.#readAtMs === undefined ? Number.POSITIVE_INFINITY : this.#options.clock.monotonic() - this.#readAtMs;
  }

  /** Reads the records since the last read. Never rejects: a failed read is counted, and repeated by the next poll. */
  async poll(): Promise<void> {
    if (this.#isStopped) return;
    this.#reading ??= this.#poll().finally(() => {
      this.#reading = undefined;
    });
    await this.#reading;
  }

  /** Reads the records up to now, also if a poll in progress has determined the end already. */
  async pollAgain(): Promise<void> {
    await this.#reading;
    await this.poll();
  }

  async #poll(): Promise<void> {
    const { logger, spec, what } = this.#options;
    try {
      await this.#read();
      this.#isFailing = false;
    } catch (thrown) {
      this.counts.readFailures++;
      if (this.#isStopped || this.#isFailing) return;
      this.#isFailing = true;
      const { code, message } = tailraceErrorFrom(thrown);
      logger.warn({ topic: spec.name, code, reason: message }, `cannot read ${what}, retrying`);
    }
  }

  async #read(): Promise<void> {
    const { eventLog, spec, clock, onRecords, onEnd } = this.#options;
    const until = await this.#findEnd();
    if (until > this.#next) {
      for await (const records of eventLog.read(spec.name, 0, { from: this.#next, until })) {
        if (this.#isStopped) return;
        onRecords(records);
        this.#next = recordEnd(records.at(-1)!);
      }
      // Compaction removes the records of some positions, possibly also the last ones before the end.
      this.#next = until;
    }
    onEnd();
    this.#readAtMs = clock.monotonic();
  }

  /** Resolves with the end. The topic is read from its first record if it has other records at the same positions. */
  async #findEnd(): Promise<number> {
    const { clock, spec, onRestart } = this.#options;
    const end = await this.#end();
    const isDue = clock.monotonic() - this.#epochAtMs >= epochCheckMs;
    if ((isDue || end !== this.#next) && (await this.#wasRecreated())) {
      this.#next = 0;
      onRestart?.();
      // The first one may be the end of the former topic.
      return await this.#end();
    }
    if (end < this.#next) {
      const readTo = this.#next;
      this.#onShorter.write(() => ({ topic: spec.name, end, readTo }));
      this.#next = 0;
      onRestart?.();
    }
    return end;
  }

  async #end(): Promise<number> {
    const { eventLog, spec } = this.#options;
    return boundsOf(await eventLog.bounds(spec.name, [0]), 0).next;
  }

  async #wasRecreated(): Promise<boolean> {
    const { eventLog, clock, logger, spec, what } = this.#options;
    const { epoch } = await eventLog.describeTopic(spec.name);
    this.#epochAtMs = clock.monotonic();
    if (epoch === this.#epoch) return false;
    const facts = { topic: spec.name, epoch, formerEpoch: this.#epoch, readTo: this.#next };
    logger.warn(facts, `${what} was re-created`);
    this.#epoch = epoch;
    return true;
  }
}
