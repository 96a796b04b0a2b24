import type { NewRecord } from '@tailrace/eventlog/event-log';
import type { Receipt } from './receipt.ts';
import type { Acknowledger } from './sparkplug-broker.ts';

/** The edge node of a report. */
export interface ReportOrigin {
  readonly group: string;
  readonly node: string;
  /** First segment of its path; '' for a node without one. */
  readonly tenant: string;
  /** Appends a report of the node. */
  append(report: PendingReport): void;
  /** The birth of the node was requested, at monotonic `nowMs`. */
  requested(nowMs: number): void;
  /** The report is in the log at this position; -1: it never will be. */
  settled(report: PendingReport, seq: number): void;
}

/** A report of a node or device that is not in the log yet. It is appended again after a failure of the log. */
export interface PendingReport {
  readonly record: Pick<NewRecord, 'key' | 'value'>;
  /** '': none. */
  readonly id: string;
  readonly readings: number;
  readonly isClockAhead: boolean;
  readonly origin: ReportOrigin;
  /** The presence of the node or device; undefined: it is offline. `lastSeq`: position of its last report. */
  readonly session: { lastSeq: number } | undefined;
  readonly receipt: Receipt | undefined;
  /** The connection of its message. */
  readonly from: Acknowledger;
  /** Of its message; '' for none. */
  readonly traceparent: string;
}
