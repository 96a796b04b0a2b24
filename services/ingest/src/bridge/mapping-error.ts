import { tailraceErrorFrom } from '@tailrace/protocol/error';
import { type DeadLetterReason, deadLetterReasonOf } from '../dead-letters/dead-letter.ts';

/** Why a message, or a report of it, cannot be mapped. */
export interface Rejected {
  readonly reason: DeadLetterReason;
  readonly message: string;
}

/** Thrown within the mapping of a message, for a reason that is no code of `TailraceError`. */
export class MappingError extends Error implements Rejected {
  readonly reason: DeadLetterReason;

  constructor(reason: DeadLetterReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Returns the reason of anything thrown while a message is mapped. */
export function rejectedFrom(thrown: unknown): Rejected {
  if (thrown instanceof MappingError) return { reason: thrown.reason, message: thrown.message };
  const error = tailraceErrorFrom(thrown);
  return { reason: deadLetterReasonOf(error), message: error.message };
}
