import type { TailraceError } from '@tailrace/protocol/error';
import type { IntakeEntry } from './intake-entry.ts';

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
