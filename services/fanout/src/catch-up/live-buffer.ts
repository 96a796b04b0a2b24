import type { LogReport } from '../channels/log-report.ts';

/** What comes on a channel while a subscription catches up, so that it can join without a seam. Bounded: one that has overflowed is of no use any more. */
export class LiveBuffer {
  /** Oldest first, in each partition. */
  logReports: LogReport[] = [];
  overflowed = false;
  #bytes = 0;
  readonly #bytesMax: number;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Of the reports as they lie in the log. */
  get bytes(): number {
    return this.#bytes;
  }

  push(logReport: LogReport): void {
    if (this.overflowed) return;
    this.#bytes += logReport.bytes.length;
    if (this.#bytes <= this.#bytesMax) this.logReports.push(logReport);
    else this.overflow();
  }

  /** It does not have all that comes. */
  overflow(): void {
    this.overflowed = true;
    this.logReports = [];
  }

  /** What has come, and nothing of it again. */
  take(): LogReport[] {
    const logReports = this.logReports;
    this.logReports = [];
    this.#bytes = 0;
    return logReports;
  }
}
