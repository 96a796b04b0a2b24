import type { Clock } from '@tailrace/platform/clock';
import type { TailraceError } from '@tailrace/protocol/error';
import { type DeadLetter, letterOfRecord } from '../dead-letters/dead-letter.ts';
import { DeadLetterWriter } from '../dead-letters/dead-letter-writer.ts';
import type { DeadLetters } from '../dead-letters/dead-letters.ts';
import { IntakeEntry, type IntakeSource } from '../intake/intake-entry.ts';
import type { MessageIntake } from '../intake/message-intake.ts';
import type { MessageTracing } from '../intake/message-tracing.ts';
import { RetryQueue } from '../intake/retry-queue.ts';
import type { PendingReport } from './pending-report.ts';
import type { Receipt } from './receipt.ts';
import type { Acknowledger } from './sparkplug-broker.ts';

/** Bytes of one host that are not durable; at the limit the host stops to read from its broker. */
export const unsettledBytesMax = 16 * 1024 * 1024;

/** Bytes of a report beside its record. */
const overheadBytes = 200;

export interface LogWriterOptions {
  /** Returns the source of the dead letters of a tenant's nodes, which has a rate. */
  readonly letterSourceOf: (tenant: string) => string;
  readonly intake: Pick<MessageIntake, 'add' | 'isFull'>;
  readonly letters: Pick<DeadLetters, 'write'>;
  readonly tracing: Pick<MessageTracing, 'start'>;
  readonly clock: Pick<Clock, 'monotonic' | 'after'>;
  /** A report is in the log; or it is too large for it: then `seq` is -1, and it becomes a dead letter. */
  readonly onReport: (report: PendingReport, seq: number, error: TailraceError | undefined) => void;
  /** More bytes than the limit wait, or no longer do. */
  readonly onFull: (isFull: boolean) => void;
}

/**
 * The reports and dead letters of one host on their way into the log. A sender of MQTT is never refused for a passing
 * failure of the log, since it would not send the message again: what failed is appended again, see `RetryQueue`.
 */
export class LogWriter implements IntakeSource {
  /** Reports that were appended again. */
  retried = 0;
  readonly #options: LogWriterOptions;
  readonly #reports: RetryQueue<IntakeEntry>;
  readonly #letters: DeadLetterWriter;
  #bytes = 0;
  #isFull = false;
  /** Connections whose acknowledgments are to be sent. */
  readonly #acknowledged = new Set<Acknowledger>();

  constructor(options: LogWriterOptions) {
    this.#options = options;
    const { intake, letters, clock } = options;
    this.#reports = new RetryQueue({
      append: (entry, isRetry) => {
        if (isRetry) this.retried++;
        intake.add(entry);
      },
      isBlocked: () => intake.isFull,
      clock,
    });
    this.#letters = new DeadLetterWriter({ letters, clock });
  }

  /** Bytes that are not durable. */
  get bytes(): number {
    return this.#bytes;
  }

  get isIdle(): boolean {
    return this.#reports.size + this.#letters.size === 0;
  }

  /** Hot: called once for each report. */
  append(report: PendingReport): void {
    const { record, id, receipt, from, traceparent } = report;
    const { tracing, clock } = this.#options;
    receipt?.open();
    const bytes = record.value.length + overheadBytes;
    this.#hold(bytes, from);
    const nowMs = clock.monotonic();
    const entry = new IntakeEntry(this, 0, id, record, bytes, nowMs);
    entry.device = report;
    tracing.start('sparkplug', traceparent, record.value.length, nowMs)?.append([entry]);
    this.#reports.add(entry);
  }

  /** `from`: the connection of its message. */
  write(letter: DeadLetter, receipt: Receipt | undefined, from: Acknowledger): void {
    receipt?.open();
    const bytes = letter.payload.length + overheadBytes;
    this.#hold(bytes, from);
    this.#letters.write(letter, () => {
      this.#hold(-bytes, from);
      this.#close(receipt);
      this.flushAcks();
    });
  }

  /** Appends nothing again from now on. */
  stop(): void {
    this.#reports.stop();
    this.#letters.stop();
  }

  settled(entry: IntakeEntry, error: TailraceError | undefined): void {
    // The log has not settled it yet, and there is no sender to be refused.
    if (entry.state === 'late') return;
    if (error !== undefined && error.code !== 'too_large') {
      this.#reports.refused(entry);
      return;
    }
    this.#reports.done(entry);
    const report = entry.device as PendingReport;
    this.#options.onReport(report, entry.seq, error);
    if (error !== undefined) {
      const source = this.#options.letterSourceOf(report.origin.tenant);
      const letter = letterOfRecord(report.record, { protocol: 'sparkplug', source, message: error.message });
      this.write(letter, report.receipt, report.from);
    }
    this.#hold(-entry.bytes, report.from);
    this.#close(report.receipt);
    entry.trace?.settled(error);
  }

  flushAcks(): void {
    for (const from of this.#acknowledged) from.flush();
    this.#acknowledged.clear();
  }

  #close(receipt: Receipt | undefined): void {
    if (receipt?.close() === true) this.#acknowledged.add(receipt.from);
  }

  #hold(bytes: number, from: Acknowledger): void {
    this.#bytes += bytes;
    from.hold?.(bytes);
    const isFull = this.#isFull ? this.#bytes > unsettledBytesMax / 2 : this.#bytes >= unsettledBytesMax;
    if (isFull === this.#isFull) return;
    this.#isFull = isFull;
    this.#options.onFull(isFull);
  }
}
