import type { Report } from '@tailrace/protocol/report';
import { IntakeEntry, type IntakeSource } from '../intake/intake-entry.ts';
import type { EncodedReport } from '../intake/record-from.ts';

/** A message of the broker, until its reports and its dead letter are in the log. */
export interface BridgeMessage {
  /** Of the connection, for its acknowledgment; -1 at QoS 0. */
  readonly ticket: number;
  readonly bytes: number;
  /** Time of receipt, monotonic ms. */
  readonly startedMs: number;
  /** Reports and dead letters that the log does not have. */
  unsettled: number;
  hasDeadLetter: boolean;
  /** Called when it is settled. Of a message that came on another connection than that of the bridge. */
  readonly done: (() => void) | undefined;
  /** Unsettled messages of the bridge, in the order of their receipt. */
  previous: BridgeMessage | undefined;
  next: BridgeMessage | undefined;
}

/** A report of a message. */
export class BridgeEntry extends IntakeEntry {
  readonly message: BridgeMessage;
  /** For its dead letter: `value` is emptied when the log has refused it for good. */
  readonly record: EncodedReport;
  readonly readings: number;

  constructor(source: IntakeSource, message: BridgeMessage, report: Report, record: EncodedReport) {
    super(source, message.ticket, report.id ?? '', record, record.value.length, message.startedMs);
    this.message = message;
    this.record = record;
    this.readings = report.readings.length;
  }
}
