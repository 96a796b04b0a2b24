import type { EventLog, NewRecord } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import type { Counter } from '@tailrace/platform/measures';
import type { Metrics } from '@tailrace/platform/metrics';
import { RateLimit } from '@tailrace/platform/rate-limit';
import { TailraceError } from '@tailrace/protocol/error';
import {
  type DeadLetter,
  type DeadLetterProtocol,
  deadLetterProtocols,
  deadLetterRecord,
  payloadBytesMax,
} from './dead-letter.ts';
import { type DeadLetterReason, deadLetterReasons } from './dead-letter-reason.ts';

export interface DeadLettersOptions {
  readonly eventLog: Pick<EventLog, 'appendEach' | 'ensureTopic'>;
  readonly topicPrefix: string;
  readonly node: string;
  readonly clock: Pick<Clock, 'now' | 'monotonic'>;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/**
 * Called once: without an error the message may be acknowledged. `unavailable`: the same letter is to be written again;
 * `closed`: it cannot be, because the process stops. Must not throw.
 */
export type DeadLetterDone = (error: TailraceError | undefined) => void;

const perSecond = 100;
const burst = 1_000;
const sourcePerSecond = 10;
const sourceBurst = 100;
/** Sources whose rates are remembered; then those with a full burst are forgotten. */
const sourcesMax = 10_000;
/** Dead letters that the log has not confirmed, and their bytes. */
export const pendingLettersMax = 1_000;
export const pendingLetterBytesMax = 16 * 1_024 * 1_024;
/** Bytes of a payload that are kept where the log finds it too large: its limit is below that of a packet. */
const shortPayloadBytes = 4_096;
const warningEveryMs = 60_000;
const shownBytesMax = 64;
const dayMs = 24 * 3_600_000;

/** Returns the name of the topic of dead letters. */
export function deadLetterTopic(topicPrefix: string): string {
  return `${topicPrefix}.dead-letter`;
}

/**
 * Writes messages that were accepted and cannot become reports to a topic of their own, so that none is dropped
 * unnoticed, and a bad one does not stop those behind it.
 *
 * - 100 a second with a burst of 1,000, of one source 10 a second with a burst of 100: further ones are not written.
 *   They are counted, and logged once a minute with their first bytes. Their sender is acknowledged all the same.
 * - 1,000 letters or 16 MiB that the log has not confirmed: further ones are refused as `unavailable`, and the caller
 *   writes them again later.
 * - 256 KiB of a message: the rest is left out, and the letter has `truncated`. 4 KiB if the log finds that too large.
 * - 14 days, 256 MiB: the log deletes the oldest.
 */
export class DeadLetters {
  readonly #options: DeadLettersOptions;
  readonly #topic: string;
  readonly #rate = new RateLimit(perSecond, burst);
  readonly #sourceRate = new RateLimit(sourcePerSecond, sourceBurst);
  #tatMs = 0;
  readonly #sourceTatMs = new Map<string, number>();
  /** Letters that have their tokens: a caller whose letter the log has refused writes the same one again. */
  readonly #admitted = new WeakSet<DeadLetter>();
  readonly #onDropped: LimitedWarning;
  readonly #counts: ReadonlyMap<string, Counter>;
  readonly #dropped: Counter;
  #pending = 0;
  #pendingBytes = 0;

  constructor(options: DeadLettersOptions) {
    this.#options = options;
    this.#topic = deadLetterTopic(options.topicPrefix);
    const { logger, clock, metrics } = options;
    const sentence = 'a message that cannot be processed was dropped: beyond the limit of dead letters, or of the log';
    this.#onDropped = new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () => clock.monotonic());
    const letters = metrics.counters(
      'tailrace_ingest_dead_letters_total',
      'Messages that cannot be processed and are in the topic of dead letters, by protocol and reason.',
      { values: { protocol: deadLetterProtocols, reason: deadLetterReasons } },
    );
    const pairs = deadLetterProtocols.flatMap((protocol) => deadLetterReasons.map((reason) => ({ protocol, reason })));
    this.#counts = new Map(pairs.map((pair) => [keyOf(pair), letters.with(pair)]));
    this.#dropped = metrics.counter(
      'tailrace_ingest_dropped_dead_letters_total',
      'Messages that cannot be processed and were dropped: beyond the limit of dead letters, or too large for the log.',
    );
    metrics.gauge('tailrace_ingest_pending_dead_letters', 'Dead letters that wait for the log.', () => this.#pending);
    metrics.gauge(
      'tailrace_ingest_limit_pending_dead_letters',
      'Dead letters that wait for the log: the limit.',
      () => pendingLettersMax,
    );
    metrics.gauge(
      'tailrace_ingest_pending_dead_letter_bytes',
      'Bytes of dead letters that wait for the log.',
      () => this.#pendingBytes,
    );
    metrics.gauge(
      'tailrace_ingest_limit_pending_dead_letter_bytes',
      'Bytes of dead letters that wait for the log: the limit.',
      () => pendingLetterBytesMax,
    );
  }

  /** Creates the topic if it is missing. Rejects as `EventLog.ensureTopic` does. */
  async start(): Promise<void> {
    await this.#options.eventLog.ensureTopic({
      name: this.#topic,
      partitions: 1,
      retentionMs: 14 * dayMs,
      retentionBytes: 256 * 1_024 * 1_024,
    });
  }

  /**
   * Writes a dead letter. `done` is called without an error when the log has it, or when it was dropped: at the rate,
   * or because the log finds it too large. With an error it is not known to be in the log: then the message must not be
   * acknowledged, and the same object is to be written again, which takes no further tokens. Never called within
   * `write`.
   */
  write(letter: DeadLetter, done: DeadLetterDone): void {
    const { clock } = this.#options;
    const bytes = Math.min(letter.payload.length, payloadBytesMax);
    if (
      this.#pending >= pendingLettersMax ||
      (this.#pending > 0 && this.#pendingBytes + bytes > pendingLetterBytesMax)
    ) {
      const text = `dead letters: expected at most ${pendingLettersMax} that wait for the log, got one more`;
      queueMicrotask(() => done(new TailraceError('unavailable', text)));
      return;
    }
    if (!this.#admitted.has(letter) && !this.#takeRates(letter.source)) {
      this.#drop(letter);
      queueMicrotask(() => done(undefined));
      return;
    }
    this.#admitted.add(letter);
    this.#append(deadLetterRecord(letter, clock.now(), this.#options.node), letter, done);
  }

  #append(record: NewRecord, letter: DeadLetter, done: DeadLetterDone): void {
    const bytes = record.value.length;
    this.#pending++;
    this.#pendingBytes += bytes;
    this.#options.eventLog.appendEach(this.#topic, [record], (_index, error) => {
      this.#pending--;
      this.#pendingBytes -= bytes;
      if (error?.code === 'too_large') this.#tooLarge(record, letter, done);
      else if (error === undefined) {
        this.#counts.get(keyOf(letter))!.add();
        done(undefined);
      } else if (error.retryable || error.code === 'closed') done(error);
      // Missing rights or a deleted topic, which an operator mends.
      else done(new TailraceError('unavailable', `dead letters: ${error.message}`, { cause: error }));
    });
  }

  #tooLarge(record: NewRecord, letter: DeadLetter, done: DeadLetterDone): void {
    if (record.value.length > shortPayloadBytes) {
      const { clock, node } = this.#options;
      this.#append(deadLetterRecord(letter, clock.now(), node, shortPayloadBytes), letter, done);
      return;
    }
    this.#drop(letter);
    done(undefined);
  }

  #takeRates(source: string): boolean {
    const nowMs = this.#options.clock.monotonic();
    const ofSource = this.#sourceRate.take(this.#sourceTatMs.get(source) ?? 0, nowMs);
    const ofAll = this.#rate.take(this.#tatMs, nowMs);
    if (ofSource === undefined || ofAll === undefined) return false;
    if (this.#sourceTatMs.size >= sourcesMax) this.#forgetSources(nowMs);
    // Without room a new source is limited with all others alone.
    if (this.#sourceTatMs.size < sourcesMax || this.#sourceTatMs.has(source)) this.#sourceTatMs.set(source, ofSource);
    this.#tatMs = ofAll;
    return true;
  }

  #forgetSources(nowMs: number): void {
    for (const [source, tatMs] of this.#sourceTatMs) {
      if (this.#sourceRate.hasFullBurst(tatMs, nowMs)) this.#sourceTatMs.delete(source);
    }
  }

  #drop(letter: DeadLetter): void {
    this.#dropped.add();
    this.#onDropped.write(() => {
      const { reason, message, protocol, source, topic, payload } = letter;
      const start = Buffer.from(payload.subarray(0, shownBytesMax)).toString('latin1');
      return { reason, reasonText: message, protocol, source, topic, bytes: payload.length, start };
    });
  }
}

function keyOf({ protocol, reason }: { protocol: DeadLetterProtocol; reason: DeadLetterReason }): string {
  return `${protocol} ${reason}`;
}
