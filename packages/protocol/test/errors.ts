import assert from 'node:assert/strict';
import { type ErrorCode, TailraceError } from '../src/error.ts';

/** What the call throws, which must be a TailraceError of the code with a message of bounded length that says what would be right. */
export function faultOf(call: () => unknown, ...codes: readonly ErrorCode[]): TailraceError {
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

/** The result of the call, or undefined where it throws one of the codes. Anything else that it throws is a failure. */
export function resultOrFault<T>(call: () => T, ...codes: readonly ErrorCode[]): T | undefined {
  let result: T | undefined;
  try {
    result = call();
  } catch (error) {
    faultOf(
      () => {
        throw error;
      },
      ...codes,
    );
  }
  return result;
}
