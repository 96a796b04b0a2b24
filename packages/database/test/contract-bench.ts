import assert from 'node:assert/strict';
import { isTailraceError, type TailraceError } from '@tailrace/protocol/error';
import type { Database } from '../src/database.ts';

/** Limits that a test sets; the same names in the options of both adapters. */
export interface ContractLimits {
  readonly waitingMax?: number;
  readonly acquireTimeoutMs?: number;
  readonly statementTimeoutMs?: number;
  /** Ignored by an adapter with one connection. */
  readonly connectionsMax?: number;
}

/** Registers a test with an own empty database, which is closed after it. */
export type Promised = (promise: string, test: (database: Database) => Promise<void>, limits?: ContractLimits) => void;

/** Resolves with the error of a call that must fail. */
export async function failure(call: Promise<unknown>): Promise<TailraceError> {
  const error = await call.then(
    () => assert.fail('expected a rejection'),
    (reason: unknown) => reason,
  );
  assert.ok(isTailraceError(error), String(error));
  return error;
}
