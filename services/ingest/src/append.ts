import type { EventLog, NewRecord } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { LogFailures } from './intake/log-failures.ts';
import { meansAway, type Pressure } from './intake/pressure.ts';
import type { AppendObservation } from './observer.ts';

export interface AppenderOptions {
  readonly eventLog: Pick<EventLog, 'append'>;
  readonly topic: string;
  readonly deadlineMs: number;
  readonly clock: Clock;
  readonly logFailures: LogFailures;
  readonly pressure: Pick<Pressure, 'confirmed' | 'failed'>;
}

/**
 * Most records and bytes of one append. A larger request has several, so that the reports of other senders wait for one
 * of them and not for all: 500 take the log some 5 ms.
 */
const chunkRecordsMax = 500;
const chunkBytesMax = 524_288;
/**
 * The next chunk follows when the log has confirmed one, or after this time: a log that confirms late, because of its
 * replicas, has written the previous chunk by then.
 */
const chunkIntervalMs = 10;
/** Most unconfirmed chunks of one request. */
const chunksUnconfirmedMax = 8;

/** The records of a request, which are appended in one or several chunks. */
interface PendingAppend {
  readonly records: readonly NewRecord[];
  /** Whether the sender was refused at the deadline: no further chunk is appended. */
  isLate(): boolean;
  /** Called once, when the log has confirmed all records. */
  done(): void;
  /** Called once instead: some records may be in the log. */
  failed(thrown: unknown): void;
}

/** Appends the reports of requests to the event log: one append for a request, or for each chunk of a large one. */
export class Appender {
  readonly #options: AppenderOptions;
  /**
   * By sender, while a large request of it is appended: that request and the following ones. The requests of a sender
   * are appended in the order in which they were received, so that the reports of a device keep their order.
   */
  readonly #queues = new Map<object, PendingAppend[]>();

  constructor(options: AppenderOptions) {
    this.#options = options;
  }

  /**
   * Resolves when all records are durable. Rejects with the error for the sender, as `LogFailures.failed` returns it:
   * `unavailable` (also at the deadline), `storage_full`, or `too_large` for a record that the log refuses. `onSettled`
   * is called when the log has released the records, possibly long after the deadline.
   * `sender`: the same object for all concurrent requests of a sender.
   */
  append(
    sender: object,
    records: readonly NewRecord[],
    observation: AppendObservation,
    onSettled: () => void,
  ): Promise<void> {
    const { eventLog, topic, clock, deadlineMs, logFailures, pressure } = this.#options;
    const startedMs = clock.monotonic();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let isLate = false;
    const timer = clock.after(deadlineMs, () => {
      isLate = true;
      const error = new TailraceError('timeout', `the log: expected a confirmation within ${deadlineMs} ms, got none`);
      pressure.failed(startedMs);
      reject(observation.refused(() => logFailures.failed(error)));
    });
    const settle = (error?: unknown) => {
      timer.cancel();
      observation.settled(error);
      onSettled();
    };
    const done = () => {
      settle();
      pressure.confirmed();
      if (logFailures.isFailing) logFailures.succeeded();
      resolve();
    };
    const failed = (thrown: unknown) => {
      settle(thrown);
      if (isLate) return;
      const error = tailraceErrorFrom(thrown);
      if (meansAway(error)) pressure.failed();
      reject(observation.refused(() => logFailures.failed(error)));
    };
    const traced = tracedRecords(records, observation.traceparent);
    const queue = this.#queues.get(sender);
    if (queue === undefined && chunkEnd(traced, 0) === traced.length)
      eventLog.append(topic, traced, sender).then(done, failed);
    else this.#enqueue(sender, queue, { records: traced, isLate: () => isLate, done, failed });
    return promise;
  }

  #enqueue(sender: object, queue: PendingAppend[] | undefined, append: PendingAppend): void {
    if (queue !== undefined) queue.push(append);
    else {
      const created = [append];
      this.#queues.set(sender, created);
      void this.#run(sender, created);
    }
  }

  /** Never rejects. */
  async #run(sender: object, queue: PendingAppend[]): Promise<void> {
    for (let append = queue[0]; append !== undefined; append = queue[0]) {
      await this.#appendChunks(append, sender);
      queue.shift();
    }
    this.#queues.delete(sender);
  }

  /**
   * Resolves when no further chunk is to be appended. `done` or `failed` is called when the log has settled all chunks.
   * Never rejects.
   */
  async #appendChunks({ records, isLate, done, failed }: PendingAppend, sender: object): Promise<void> {
    const { eventLog, topic, deadlineMs, clock } = this.#options;
    const failures: unknown[] = [];
    let unconfirmed = 0;
    let isSent = false;
    let wake: (() => void) | undefined;
    const finish = () => {
      if (!isSent || unconfirmed > 0) return;
      if (failures.length === 0) done();
      else failed(failures[0]);
    };
    const settled = () => {
      unconfirmed--;
      wake?.();
      finish();
    };
    for (let from = 0; from < records.length && failures.length === 0; ) {
      if (isLate()) {
        const message = `the log: expected ${records.length} reports within ${deadlineMs} ms, got ${from}`;
        failures.push(new TailraceError('timeout', message));
        break;
      }
      const until = chunkEnd(records, from);
      const isWhole = from === 0 && until === records.length;
      unconfirmed++;
      eventLog
        .append(topic, isWhole ? records : records.slice(from, until), sender)
        .then(settled, (thrown: unknown) => {
          failures.push(thrown);
          settled();
        });
      from = until;
      if (from === records.length) break;
      const next = Promise.withResolvers<void>();
      wake = next.resolve;
      const timer = unconfirmed < chunksUnconfirmedMax ? clock.after(chunkIntervalMs, next.resolve) : undefined;
      await next.promise;
      timer?.cancel();
    }
    wake = undefined;
    isSent = true;
    finish();
  }
}

/** Returns the index after the chunk that starts at `from`. */
function chunkEnd(records: readonly NewRecord[], from: number): number {
  const most = Math.min(records.length, from + chunkRecordsMax);
  let bytes = 0;
  for (let index = from; index < most; index++) {
    bytes += records[index]!.value.length;
    if (bytes > chunkBytesMax && index > from) return index;
  }
  return most;
}

/** Returns the records with the trace in their headers; without a trace the records themselves. */
function tracedRecords(records: readonly NewRecord[], traceparent: string): readonly NewRecord[] {
  if (traceparent === '') return records;
  const headers = { traceparent };
  return records.map((record) => ({ ...record, headers }));
}
