import type { EventLog, NewRecord } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import { type BackoffOptions, backoffMs } from '@tailrace/protocol/backoff';
import { tailraceErrorFrom } from '@tailrace/protocol/error';

/** Records of one append. */
const recordsPerAppend = 500;
const backoff: BackoffOptions = { baseMs: 50, capMs: 2_000 };
const warningEveryMs = 10_000;

/** A record, and when ingest received the report that has caused it, epoch ms; undefined: no report has. */
export interface EventRecord extends NewRecord {
  readonly receivedMs: number | undefined;
}

export interface EventWriterOptions {
  readonly eventLog: Pick<EventLog, 'append'>;
  readonly topic: string;
  readonly clock: Pick<Clock, 'now' | 'sleep' | 'monotonic'>;
  readonly logger: Logger;
  /** In [0, 1): spreads retries. */
  readonly random: () => number;
  /** Records of all partitions that may be unwritten; beyond it `whenWritable` waits. */
  readonly unwrittenMax: number;
  /** Called for each record that a report has caused, with the time from its receipt until the log had the record. */
  readonly onWritten: (seconds: number) => void;
}

/** What all partitions of this node share: the limit of unwritten records. */
export class EventWriters {
  readonly counts = {
    written: 0,
    retries: 0,
    /** Records that the log does not take at any time, since they are too large. */
    refused: 0,
  };
  unwritten = 0;
  readonly options: EventWriterOptions;
  readonly onRetry: LimitedWarning;
  readonly onRefused: LimitedWarning;
  #waiting: (() => void)[] = [];
  #isClosed = false;

  constructor(options: EventWriterOptions) {
    this.options = options;
    const { logger, clock } = options;
    const limited = (sentence: string) =>
      new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () => clock.monotonic());
    this.onRetry = limited('the log does not take transitions of alarms; trying again');
    this.onRefused = limited('the log does not take a transition of an alarm; it is left out');
  }

  get isFull(): boolean {
    return this.unwritten >= this.options.unwrittenMax && !this.#isClosed;
  }

  /** Called before the node stops: nothing waits any more. */
  close(): void {
    this.#isClosed = true;
    this.changed(0);
  }

  /** Resolves when fewer records than the limit are unwritten. */
  async whenWritable(): Promise<void> {
    while (this.isFull) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  changed(by: number): void {
    this.unwritten += by;
    if (this.isFull) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/**
 * Writes the transitions of one partition in order: one append at a time, repeated until the log takes it. After an
 * error some of its records may be in the log already. Readers drop what they have: see `AlarmOrder`.
 */
export class EventWriter {
  readonly #writers: EventWriters;
  #queue: EventRecord[] = [];
  #isWriting = false;
  #isStopped = false;
  /** Records added and settled, since the start. */
  #added = 0;
  #settled = 0;
  #flushes: { readonly at: number; readonly resolve: (isWritten: boolean) => void }[] = [];

  constructor(writers: EventWriters) {
    this.#writers = writers;
  }

  add(record: EventRecord): void {
    if (this.#isStopped) return;
    this.#queue.push(record);
    this.#added++;
    this.#writers.changed(1);
    if (this.#isWriting) return;
    this.#isWriting = true;
    // After this turn of the event loop, so that the records of one batch share an append.
    queueMicrotask(() => void this.#write());
  }

  /** Resolves with true when everything added before is durable; with false if the writer was stopped before. */
  flushed(): Promise<boolean> {
    if (this.#isStopped) return Promise.resolve(false);
    if (this.#settled >= this.#added) return Promise.resolve(true);
    return new Promise((resolve) => this.#flushes.push({ at: this.#added, resolve }));
  }

  /** Drops what is unwritten: another process has the partition, and evaluates it again. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#writers.changed(this.#settled - this.#added);
    this.#queue = [];
    for (const { resolve } of this.#flushes.splice(0)) resolve(false);
  }

  async #write(): Promise<void> {
    while (this.#queue.length > 0) {
      const records = this.#queue.slice(0, recordsPerAppend);
      await this.#append(records);
      if (this.#isStopped) return;
      this.#queue.splice(0, records.length);
      this.#settled += records.length;
      this.#writers.changed(-records.length);
      const reached = this.#flushes.filter(({ at }) => at <= this.#settled);
      this.#flushes = this.#flushes.filter(({ at }) => at > this.#settled);
      for (const { resolve } of reached) resolve(true);
    }
    this.#isWriting = false;
  }

  async #append(records: readonly EventRecord[]): Promise<void> {
    const { eventLog, topic, clock, random, onWritten } = this.#writers.options;
    const { counts, onRetry } = this.#writers;
    for (let retries = 0; !this.#isStopped; retries++) {
      try {
        await eventLog.append(topic, records);
        counts.written += records.length;
        const nowMs = clock.now();
        for (const { receivedMs } of records)
          if (receivedMs !== undefined) onWritten(Math.max(0, nowMs - receivedMs) / 1_000);
        return;
      } catch (thrown) {
        const error = tailraceErrorFrom(thrown);
        if (error.code === 'too_large') {
          await this.#appendHalves(records, error.message);
          return;
        }
        counts.retries++;
        onRetry.write(() => ({ code: error.code, reason: error.message, records: records.length }));
        await clock.sleep(backoffMs(retries, random, backoff));
      }
    }
  }

  /** Finds the records that are too large, and writes the others. */
  async #appendHalves(records: readonly EventRecord[], reason: string): Promise<void> {
    if (records.length > 1) {
      const half = records.length >> 1;
      await this.#append(records.slice(0, half));
      await this.#append(records.slice(half));
      return;
    }
    this.#writers.counts.refused++;
    this.#writers.onRefused.write(() => ({ device: records[0]!.key, reason }));
  }
}
