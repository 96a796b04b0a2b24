import assert from 'node:assert/strict';
import { type ErrorCode, TailraceError } from '../src/error.ts';

/**
 * Returns the error of the call. Asserts that it is a TailraceError with one of the codes and a message of bounded
 * length.
 */
export function errorOf(call: () => unknown, ...codes: readonly ErrorCode[]): TailraceError {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof TailraceError, `threw ${String(error)} instead of a TailraceError`);
    assert.ok(codes.includes(error.code), `threw ${error.code}, not ${codes.join(' or ')}: ${error.message}`);
    assert.ok(error.message.length < 700, `the message has ${error.message.length} characters`);
    return error;
  }
  return assert.fail(`did not throw ${codes.join(' or ')}`);
}

/** Returns the result of the call, or undefined where it throws one of the codes. Other exceptions fail the test. */
export function resultOrError<T>(call: () => T, ...codes: readonly ErrorCode[]): T | undefined {
  let result: T | undefined;
  try {
    result = call();
  } catch (error) {
    errorOf(
      () => {
        throw error;
      },
      ...codes,
    );
  }
  return result;
}
