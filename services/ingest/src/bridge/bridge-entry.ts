import type { DeadLetter } from '../dead-letters/dead-letter.ts';
import { IntakeEntry } from '../intake/intake-entry.ts';
import type { IntakeSource } from '../intake/intake-source.ts';
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
  /** To append it again: `value` is emptied when the log has settled it. */
  readonly record: EncodedReport;
  readonly readings: number;

  constructor(
    source: IntakeSource,
    message: BridgeMessage,
    {
      record,
      readings,
      order,
      startedMs,
    }: { record: EncodedReport; readings: number; order: number; startedMs: number },
  ) {
    super(source, message.ticket, '', record, record.value.length, startedMs);
    this.message = message;
    this.record = record;
    this.readings = readings;
    this.order = order;
  }

  /** Returns an entry of the same report, for another attempt. */
  again(nowMs: number): BridgeEntry {
    const { record, readings, order } = this;
    return new BridgeEntry(this.source, this.message, { record, readings, order, startedMs: nowMs });
  }
}

/** A dead letter of a message, to be written again. */
export interface FailedLetter {
  readonly letter: DeadLetter;
  readonly message: BridgeMessage;
}
