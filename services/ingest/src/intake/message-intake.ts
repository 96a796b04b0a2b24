import type { EventLog } from '@tailrace/eventlog/event-log';
import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { TailraceError } from '@tailrace/protocol/error';
import type { IntakeEntry, IntakeSource } from './intake-entry.ts';
import type { LogFailures } from './log-failures.ts';
import { meansAway, type Pressure } from './pressure.ts';
import type { RetryQueueOptions } from './retry-queue.ts';

/** Observes calls of the log. */
export interface IntakeObserver {
  /** Called before each call of `appendEach`, with its number of messages. */
  appended(messages: number): void;
  /** Called when the log has settled all messages of a call. */
  settled(seconds: number): void;
}

export interface MessageIntakeOptions {
  readonly eventLog: Pick<EventLog, 'appendEach'>;
  readonly topic: string;
  /** A message that the log has not settled by then is refused, ms from its receipt. */
  readonly ackDeadlineMs: number;
  /** Most unsettled messages, those refused at the deadline included. */
  readonly unsettledMax: number;
  readonly pressure: Pick<Pressure, 'confirmed' | 'failed' | 'check'>;
  readonly observer: IntakeObserver;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly logFailures: LogFailures;
}

/** Most messages of one call of the log: some 5 ms of work. */
const callMessagesMax = 2_000;
/** Time between two checks of the deadline: a refusal is late by up to this time. */
const sweepMs = 100;

const noBytes = new Uint8Array(0);

/**
 * The road of single messages into the log, for all protocols that acknowledge messages one by one.
 *
 * `add` takes the messages of one turn of the event loop, of all sources. They are one call of `appendEach` at the end
 * of the turn, so that a thousand devices cost one request. The log settles each by itself. A source is notified of
 * each of its messages, then once to send its answers.
 *
 * Unsettled messages are a list, oldest `add` first. A message leaves it when the log has settled it, which may be long
 * after it was refused at the deadline: its bytes are held until then.
 */
export class MessageIntake {
  readonly #options: MessageIntakeOptions;
  /** Added in this turn. */
  #added: IntakeEntry[] = [];
  /** Refused at the limit, in this turn. */
  #refused: IntakeEntry[] = [];
  #isFlushDue = false;
  #first: IntakeEntry | undefined;
  #last: IntakeEntry | undefined;
  #unsettled = 0;
  #heldBytes = 0;
  /**
   * Sources whose answers are to be sent. A new set for each response of the log: V8 links the tables of a set that is
   * cleared, and does not collect them before it visits the whole heap.
   */
  #touched = new Set<IntakeSource>();
  #lastTouched: IntakeSource | undefined;
  #isNotifyDue = false;
  #hasConfirmed = false;
  #hasFailed = false;
  /** Thousands of messages may share one error of the log, and so one refusal. */
  #lastError: TailraceError | undefined;
  #lastRefusal: TailraceError | undefined;
  #timer: Timer | undefined;
  #drained: (() => void)[] = [];
  #isClosed = false;

  constructor(options: MessageIntakeOptions) {
    this.#options = options;
  }

  /** Messages that the log has not settled. */
  get unsettled(): number {
    return this.#unsettled;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Whether `add` would refuse a message: sources are to stop to read. */
  get isFull(): boolean {
    return this.#unsettled >= this.#options.unsettledMax;
  }

  /** Returns the age of the oldest unsettled message, ms; 0 without one. */
  get oldestMs(): number {
    let startedMs = Number.POSITIVE_INFINITY;
    for (let entry = this.#first; entry !== undefined; entry = entry.next)
      startedMs = Math.min(startedMs, entry.startedMs);
    return startedMs === Number.POSITIVE_INFINITY ? 0 : this.#options.clock.monotonic() - startedMs;
  }

  /**
   * Takes a message. Its source is notified once the log has settled it, and at the deadline if that is first. At
   * `unsettledMax` it is refused as `unavailable` and not appended. An entry that was settled with a retryable error
   * may be added again; it is `late` again after its deadline. Hot: called once for each message.
   */
  add(entry: IntakeEntry): void {
    entry.state = 'waiting';
    if (this.#unsettled >= this.#options.unsettledMax || this.#isClosed) this.#refused.push(entry);
    else {
      this.#added.push(entry);
      this.#link(entry);
    }
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    setImmediate(this.#flush);
  }

  /** Resolves when the log has settled all messages. */
  drain(): Promise<void> {
    if (this.#unsettled === 0) return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  /** Stops the timer, and refuses further messages. Sources are still notified of those in progress. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  readonly #flush = (): void => {
    this.#isFlushDue = false;
    if (this.#refused.length > 0) this.#refuse();
    const all = this.#added;
    if (all.length === 0) return;
    const isOne = all.length <= callMessagesMax;
    this.#added = isOne ? [] : all.slice(callMessagesMax);
    this.#append(isOne ? all : all.slice(0, callMessagesMax));
    if (!isOne) {
      // In the next turn: sockets are served in between.
      this.#isFlushDue = true;
      setImmediate(this.#flush);
    }
    this.#timer ??= this.#isClosed ? undefined : this.#options.clock.every(sweepMs, this.#sweep);
  };

  #refuse(): void {
    const error = this.#refusalAtLimit();
    for (const entry of this.#refused.splice(0)) {
      entry.state = 'settled';
      this.#notify(entry, error);
    }
  }

  #append(entries: IntakeEntry[]): void {
    const { eventLog, topic, observer, clock } = this.#options;
    // The log may settle some of them much later than the others, which must not be held meanwhile.
    const held: (IntakeEntry | undefined)[] = entries;
    const startMs = clock.monotonic();
    let left = entries.length;
    observer.appended(left);
    eventLog.appendEach(topic, entries, (index, error, partition, seq) => {
      const entry = held[index]!;
      held[index] = undefined;
      this.#settle(entry, error, partition, seq);
      if (--left === 0) observer.settled((clock.monotonic() - startMs) / 1_000);
    });
  }

  #settle(entry: IntakeEntry, error: TailraceError | undefined, partition: number, seq: number): void {
    this.#unlink(entry);
    entry.state = 'settled';
    if (error === undefined) {
      entry.value = noBytes;
      entry.partition = partition;
      entry.seq = seq;
      this.#hasConfirmed = true;
      const { logFailures } = this.#options;
      if (logFailures.isFailing) logFailures.succeeded();
      this.#notify(entry, undefined);
    } else {
      if (meansAway(error)) this.#hasFailed = true;
      const refusal = this.#refusalOf(error);
      // The error of the log may be final, such as missing rights, and the refusal is not: its source adds it again.
      this.#notify(entry, refusal);
      if (!refusal.retryable) entry.value = noBytes;
    }
  }

  #notify(entry: IntakeEntry, error: TailraceError | undefined): void {
    const { source } = entry;
    try {
      source.settled(entry, error);
    } catch (thrown) {
      // Not thrown into the log, which is in the middle of its work.
      this.#options.logger.error({ error: thrown }, 'the answer to a message could not be handled');
    }
    if (source !== this.#lastTouched) {
      this.#lastTouched = source;
      this.#touched.add(source);
    }
    if (this.#isNotifyDue) return;
    this.#isNotifyDue = true;
    queueMicrotask(this.#notifySources);
  }

  /** Runs after all settlements of one response of the log. */
  readonly #notifySources = (): void => {
    const { pressure, logger } = this.#options;
    this.#isNotifyDue = false;
    this.#lastTouched = undefined;
    this.#lastError = undefined;
    this.#lastRefusal = undefined;
    if (this.#hasFailed) pressure.failed();
    if (this.#hasConfirmed) pressure.confirmed();
    this.#hasFailed = false;
    this.#hasConfirmed = false;
    const sources = this.#touched;
    this.#touched = new Set();
    for (const source of sources) {
      try {
        source.flushAcks();
      } catch (thrown) {
        logger.error({ error: thrown }, 'the answers to messages could not be sent');
      }
    }
    if (this.#unsettled > 0) return;
    for (const resolve of this.#drained.splice(0)) resolve();
  };

  /** Refuses what the log has not settled at the deadline, and checks the pressure. */
  readonly #sweep = (): void => {
    const { ackDeadlineMs, clock, pressure } = this.#options;
    const nowMs = clock.monotonic();
    const dueMs = nowMs - ackDeadlineMs;
    let oldestMs = nowMs;
    let refusal: TailraceError | undefined;
    // All of them: a message that waited in its session is older than those before it.
    for (let entry = this.#first; entry !== undefined; ) {
      const { next, startedMs } = entry;
      if (startedMs < oldestMs) oldestMs = startedMs;
      if (startedMs <= dueMs && entry.state === 'waiting') {
        refusal ??= this.#refusalAtDeadline();
        entry.state = 'late';
        entry.isLate = true;
        this.#notify(entry, refusal);
      }
      entry = next;
    }
    pressure.check(nowMs - oldestMs);
    if (this.#unsettled > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  };

  #refusalOf(error: TailraceError): TailraceError {
    if (error !== this.#lastError || this.#lastRefusal === undefined) {
      this.#lastError = error;
      this.#lastRefusal = this.#options.logFailures.failed(error);
    }
    return this.#lastRefusal;
  }

  #refusalAtDeadline(): TailraceError {
    const { ackDeadlineMs, logFailures } = this.#options;
    const message = `the log: expected a confirmation within ${ackDeadlineMs} ms, got none`;
    return logFailures.failed(new TailraceError('timeout', message));
  }

  #refusalAtLimit(): TailraceError {
    const { unsettledMax } = this.#options;
    const message = this.#isClosed
      ? 'this server is shutting down; reconnect and send the message again'
      : `the server has ${unsettledMax} messages in progress, its limit; this one was not accepted: retry later`;
    return new TailraceError(this.#isClosed ? 'closed' : 'unavailable', message, { retryable: true });
  }

  #link(entry: IntakeEntry): void {
    entry.previous = this.#last;
    if (this.#last === undefined) this.#first = entry;
    else this.#last.next = entry;
    this.#last = entry;
    this.#unsettled++;
    this.#heldBytes += entry.bytes;
  }

  #unlink(entry: IntakeEntry): void {
    const { previous, next } = entry;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    entry.previous = undefined;
    entry.next = undefined;
    this.#unsettled--;
    this.#heldBytes -= entry.bytes;
  }
}

/** Returns the options of queues whose items are entries of the intake. Many queues may share them. */
export function intakeRetries(
  intake: Pick<MessageIntake, 'add'>,
  clock: Pick<Clock, 'after'>,
  random?: () => number,
): RetryQueueOptions<IntakeEntry> {
  return { append: (entry) => intake.add(entry), clock, ...(random === undefined ? {} : { random }) };
}
