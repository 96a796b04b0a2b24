import type { Clock } from '@tailrace/platform/clock';
import type { TailraceError } from '@tailrace/protocol/error';
import { type DeadLetter, letterOfRecord } from '../dead-letters/dead-letter.ts';
import type { DeadLetters } from '../dead-letters/dead-letters.ts';
import { IntakeEntry } from '../intake/intake-entry.ts';
import type { IntakeSource } from '../intake/intake-source.ts';
import type { MessageIntake } from '../intake/message-intake.ts';
import type { PendingReport } from './pending-report.ts';
import type { Receipt } from './receipt.ts';
import type { Acknowledger } from './sparkplug-broker.ts';

/** From the last failure to the next attempt, ms: doubles from the first to the second. */
const retryMsMin = 100;
const retryMsMax = 2_000;

/** Bytes of one host that are not durable; at the limit the host stops to read from its broker. */
export const unsettledBytesMax = 16 * 1024 * 1024;

/** Bytes of a report beside its record. */
const overheadBytes = 200;

/** A dead letter that is not durable. */
interface PendingLetter {
  readonly letter: DeadLetter;
  readonly receipt: Receipt | undefined;
}

export interface LogWriterOptions {
  /** Source of its dead letters: the name of the broker's settings. */
  readonly source: string;
  readonly intake: Pick<MessageIntake, 'add' | 'isFull'>;
  readonly letters: Pick<DeadLetters, 'write'>;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** A report is in the log; or it is too large for it: then `seq` is -1, and it becomes a dead letter. */
  readonly onReport: (report: PendingReport, seq: number, error: TailraceError | undefined) => void;
  /** More bytes than the limit wait, or no longer do. */
  readonly onFull: (isFull: boolean) => void;
}

/**
 * The reports and dead letters of one host on their way into the log. A sender of MQTT is never refused for a passing
 * failure of the log, since it would not send the message again: what failed is appended again, in its order, when all
 * that was appended is settled. Meanwhile nothing further is appended.
 */
export class LogWriter implements IntakeSource {
  /** Reports that were appended again. */
  retried = 0;
  readonly #options: LogWriterOptions;
  #order = 0;
  /** Appended, and not settled. */
  #appended = 0;
  #failed: PendingReport[] = [];
  /** Not appended, because earlier ones failed. */
  #waiting: PendingReport[] = [];
  #letters = 0;
  #failedLetters: PendingLetter[] = [];
  #bytes = 0;
  #isFull = false;
  #retryMs = retryMsMin;
  #retryAtMs: number | undefined;
  /** Connections whose acknowledgments are to be sent. */
  readonly #acknowledged = new Set<Acknowledger>();

  constructor(options: LogWriterOptions) {
    this.#options = options;
  }

  /** Bytes that are not durable. */
  get bytes(): number {
    return this.#bytes;
  }

  get isIdle(): boolean {
    return this.#appended + this.#failed.length + this.#waiting.length + this.#letters === 0;
  }

  /** Hot: called once for each report. */
  append(report: PendingReport): void {
    report.order = this.#order++;
    report.receipt?.open();
    this.#hold(bytesOf(report));
    if (this.#failed.length > 0 || this.#waiting.length > 0 || this.#options.intake.isFull) this.#waiting.push(report);
    else this.#add(report);
  }

  write(letter: DeadLetter, receipt: Receipt | undefined): void {
    receipt?.open();
    this.#letters++;
    this.#hold(letter.payload.length + overheadBytes);
    this.#writeLetter({ letter, receipt });
  }

  settled(entry: IntakeEntry, error: TailraceError | undefined): void {
    // The log has not settled it yet, and there is no sender to be refused.
    if (entry.state === 'late') return;
    this.#appended--;
    const report = entry.device as PendingReport;
    if (error !== undefined && error.code !== 'too_large') {
      this.#failed.push(report);
      this.#scheduleRetry();
      return;
    }
    this.#retryMs = retryMsMin;
    this.#options.onReport(report, entry.seq, error);
    if (error !== undefined) {
      const { source } = this.#options;
      const letter = letterOfRecord(report.record, { protocol: 'sparkplug', source, message: error.message });
      this.write(letter, report.receipt);
    }
    this.#hold(-bytesOf(report));
    this.#close(report.receipt);
  }

  flushAcks(): void {
    for (const from of this.#acknowledged) from.flush();
    this.#acknowledged.clear();
  }

  /** Appends again what failed, if it is time. Called every 100 ms. */
  tick(): void {
    const nowMs = this.#options.clock.monotonic();
    if (this.#retryAtMs !== undefined && nowMs < this.#retryAtMs) return;
    this.#retryAtMs = undefined;
    for (const pending of this.#failedLetters.splice(0)) this.#writeLetter(pending);
    if (this.#appended > 0 || this.#failed.length + this.#waiting.length === 0) return;
    const failed = this.#failed.sort((a, b) => a.order - b.order);
    const reports = failed.concat(this.#waiting);
    this.retried += failed.length;
    this.#failed = [];
    this.#waiting = [];
    for (let index = 0; index < reports.length; index++) {
      if (this.#options.intake.isFull) {
        this.#waiting = reports.slice(index);
        return;
      }
      this.#add(reports[index]!);
    }
  }

  #add(report: PendingReport): void {
    const { record, id } = report;
    const entry = new IntakeEntry(this, 0, id, record, bytesOf(report), this.#options.clock.monotonic());
    entry.device = report;
    this.#appended++;
    this.#options.intake.add(entry);
  }

  #writeLetter(pending: PendingLetter): void {
    this.#options.letters.write(pending.letter, (error) => {
      if (error !== undefined) {
        this.#failedLetters.push(pending);
        this.#scheduleRetry();
        return;
      }
      this.#letters--;
      this.#hold(-pending.letter.payload.length - overheadBytes);
      this.#close(pending.receipt);
      this.flushAcks();
    });
  }

  #scheduleRetry(): void {
    if (this.#retryAtMs !== undefined) return;
    this.#retryAtMs = this.#options.clock.monotonic() + this.#retryMs;
    this.#retryMs = Math.min(2 * this.#retryMs, retryMsMax);
  }

  #close(receipt: Receipt | undefined): void {
    if (receipt?.close() === true) this.#acknowledged.add(receipt.from);
  }

  #hold(bytes: number): void {
    this.#bytes += bytes;
    const isFull = this.#isFull ? this.#bytes > unsettledBytesMax / 2 : this.#bytes >= unsettledBytesMax;
    if (isFull === this.#isFull) return;
    this.#isFull = isFull;
    this.#options.onFull(isFull);
  }
}

function bytesOf({ record }: PendingReport): number {
  return record.value.length + overheadBytes;
}
