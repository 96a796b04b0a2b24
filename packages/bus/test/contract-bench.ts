import assert from 'node:assert/strict';
import type { Logger } from '@tailrace/platform/logger';
import { type ErrorCode, isTailraceError } from '@tailrace/protocol/error';
import type { Bus } from '../src/bus.ts';

export interface Bench {
  /** Started; closed at the end of the test. */
  open(node?: string): Promise<Bus>;
  /** Messages that the buses logged as warnings and errors. */
  readonly complaints: readonly string[];
}

/** Defines a test that is named after what it promises. */
export type Promised = (promise: string, test: (bench: Bench) => Promise<void>) => void;

export const text = (payload: Uint8Array) => new TextDecoder().decode(payload);
export const bytes = (value: string | number) => new TextEncoder().encode(String(value));

/** For `assert.rejects` and `assert.throws`: a TailraceError of this code whose message matches. */
export function failure(code: ErrorCode, pattern: RegExp = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isTailraceError(error), `not a TailraceError: ${error}`);
    assert.equal(error.code, code, error.message);
    assert.match(error.message, pattern);
    return true;
  };
}

export function createComplaintLog(complaints: string[]): Logger {
  const complain = (_facts: object, message: string) => void complaints.push(message);
  const logger: Logger = { debug() {}, info() {}, warn: complain, error: complain, child: () => logger };
  return logger;
}
