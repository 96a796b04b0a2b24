import type { NewRecord } from '@tailrace/eventlog/event-log';
import type { TailraceError } from '@tailrace/protocol/error';
import type { MessageTrace } from './message-tracing.ts';
import type { RetryItem } from './retry-queue.ts';

/**
 * `waiting`: the log has not settled it.
 * `late`: the same, after the deadline. Its source has the refusal, and the message may still get into the log.
 * `settled`: the log has confirmed or refused it.
 */
export type IntakeState = 'waiting' | 'late' | 'settled';

/**
 * A message on its way into the log. It is the record itself, and a node of the list of unsettled messages: there is no
 * other object for a message.
 *
 * `Device`: what its source keeps for the device of the message.
 */
export class IntakeEntry<Device extends object = object> implements NewRecord, RetryItem {
  readonly key: string;
  /**
   * Empty when it is settled, unless it may be added again: see `MessageIntake.add`. Of a message that the log has
   * refused for good, after its source was notified, which may write it to the dead letters.
   */
  value: Uint8Array;
  /** The trace of a sampled message, and its header. Set by `MessageTrace.append`. */
  trace: MessageTrace | undefined = undefined;
  headers: Readonly<Record<string, string>> | undefined = undefined;
  readonly source: IntakeSource;
  /** What the source acknowledges: a message ID, or an MQTT packet ID. */
  readonly token: string | number;
  /** The message ID of the report; '' for none. */
  readonly id: string;
  /** What it counts in `MessageIntake.heldBytes`. */
  readonly bytes: number;
  /** Time of receipt, monotonic ms. The deadline of the log counts from it. */
  readonly startedMs: number;
  /** Set by the source. */
  device: Device | undefined = undefined;
  /** Set by the `RetryQueue` of its source, if it has one. */
  order = 0;
  /** Changed by `MessageIntake` alone, as all fields below. */
  state: IntakeState = 'waiting';
  /** Whether it was refused at the deadline. Stays true when it is settled. */
  isLate = false;
  /** Its partition and position in the log once it is confirmed; -1 before, and if it has failed. */
  partition = -1;
  seq = -1;
  previous: IntakeEntry | undefined = undefined;
  next: IntakeEntry | undefined = undefined;

  /** `record`: of `recordFrom`. */
  constructor(
    source: IntakeSource,
    token: string | number,
    id: string,
    record: Pick<NewRecord, 'key' | 'value'>,
    bytes: number,
    startedMs: number,
  ) {
    this.source = source;
    this.token = token;
    this.id = id;
    this.key = record.key;
    this.value = record.value;
    this.bytes = bytes;
    this.startedMs = startedMs;
  }
}

/** Where messages come from: a device session, or a bridge. */
export interface IntakeSource {
  /**
   * Called once with an entry that is `settled`: without an error it is in the log. Called before with an entry that is
   * `late`, if the log has not settled it at the deadline: then `error` is the refusal, and the second call, in which
   * `isLate` is still true, needs no answer to the device.
   *
   * The error may be sent to the device: `unavailable`, `storage_full`, or `too_large`. After the first two the message
   * may or may not be in the log. Never called within `MessageIntake.add`. Must not throw: an error is logged, and
   * changes nothing.
   */
  settled(entry: IntakeEntry, error: TailraceError | undefined): void;
  /** Called once after `settled` was called for some entries, so that their answers are one write. Must not throw. */
  flushAcks(): void;
}
