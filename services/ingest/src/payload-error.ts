import { TailraceError } from '@tailrace/protocol/error';
import type { DeadLetterReason } from './dead-letters/dead-letter-reason.ts';

/** Why a payload is no report: more than the codes of errors, for its dead letter. */
export class PayloadError extends TailraceError {
  readonly reason: DeadLetterReason;

  constructor(reason: DeadLetterReason, message: string, cause?: unknown) {
    super(reason === 'too_large' ? 'too_large' : 'invalid_report', message, cause === undefined ? {} : { cause });
    this.reason = reason;
  }
}
