import { tailraceErrorFrom } from '@tailrace/protocol/error';
import { deadLetterReasonOf } from '../dead-letters/dead-letter.ts';
import type { DeadLetterReason } from '../dead-letters/dead-letter-reason.ts';

/** Why a message, or a report of it, cannot be mapped. */
export interface Rejected {
  readonly reason: DeadLetterReason;
  readonly message: string;
}

/** Returns the reason of anything thrown while a message is mapped. */
export function rejectedFrom(thrown: unknown): Rejected {
  const error = tailraceErrorFrom(thrown);
  return { reason: deadLetterReasonOf(error), message: error.message };
}
