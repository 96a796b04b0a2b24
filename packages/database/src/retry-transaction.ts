import { type RetryOptions, retry } from '@tailrace/platform/retry';
import { isTailraceError } from '@tailrace/protocol/error';
import type { Database, Transaction, TransactionOptions } from './database.ts';

export interface RetryTransactionOptions extends TransactionOptions {
  readonly clock: RetryOptions['clock'];
  /** In [0, 1]. */
  readonly random: () => number;
  /** After it no attempt starts, ms. Default: 5,000. */
  readonly deadlineMs?: number;
}

/** Short: the other transaction is done in milliseconds. */
const waits = { baseMs: 5, capMs: 250 };

/**
 * Runs a transaction again while PostgreSQL refuses it for a serialization failure or a deadlock, which change nothing
 * (PostgreSQL, "13.5. Serialization Failure Handling"). `work` may be called several times: it must have no effects but
 * its statements. Any other error is final, also a lost connection, because the commit may have happened.
 */
export function retryTransaction<T>(
  database: Database,
  { clock, random, deadlineMs = 5_000, ...options }: RetryTransactionOptions,
  work: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  return retry({ clock, random, deadlineMs, ...waits, isRetryable: isSerializationFailure }, () =>
    database.transaction(work, options),
  );
}

/** Returns whether the same transaction may succeed when it is run again. */
export function isSerializationFailure(error: unknown): boolean {
  return isTailraceError(error) && error.code === 'conflict' && error.retryable;
}
