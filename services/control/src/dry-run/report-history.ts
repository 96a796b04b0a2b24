import type { Report } from '@tailrace/protocol/report';

/*
 * The port to the reports of a span. Reports of one device come in the order of their positions; those of other devices
 * may come earlier or later, within one call of `read`.
 */

export interface HistoryScope {
  /** Device paths and patterns. */
  readonly patterns: readonly string[];
  /** Of the first report, epoch ms, by the time at which the history has received it. */
  readonly fromMs: number;
}

export interface ReportHistory {
  /** Rejects with `unavailable`. */
  open(scope: HistoryScope): Promise<HistoryPass>;
}

/** One pass through a history, from `fromMs` on. */
export interface HistoryPass {
  /** Of the positions of the reports. */
  readonly epoch: string;
  /**
   * `fromMs`, or a later time if reports before it were removed, epoch ms; infinite: of some partition all were. It may
   * rise with each call of `read`.
   */
  readonly completeFromMs: number;
  /**
   * Reads the reports up to a time, exclusive, from where the call before has stopped. `isWanted`: whether the reports
   * of a device are evaluated; others are only counted. Rejects with `unavailable`.
   */
  read(untilMs: number, isWanted: (device: string) => boolean): AsyncIterable<HistoryPart>;
}

/** Some reports that were read at once: of the log, at most some hundred. */
export interface HistoryPart {
  /** Records that were read, those of other devices included. */
  readonly records: number;
  /** Of them, those that cannot be read, or have no report. */
  readonly rejected: number;
  readonly reports: readonly PositionedReport[];
}

export interface PositionedReport {
  readonly seq: number;
  readonly report: Report;
}
