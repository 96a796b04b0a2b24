import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { anyJson, seeded } from '../test/arbitraries.ts';
import { shown, TailraceError, tailraceErrorFrom } from './error.ts';

test('a value becomes at most 80 characters and an ellipsis, without control characters', () => {
  fc.assert(
    fc.property(anyJson, (value) => {
      const text = shown(value);
      assert.ok(text.length <= 81);
      assert.doesNotMatch(text, /\p{Cc}/u);
      assert.ok(text.isWellFormed());
    }),
    seeded,
  );
  assert.equal(shown('a\n\u009b'), '"a\\n\\u009b"');
  assert.equal(shown(`${'x'.repeat(78)}\u{1f600}`), `"${'x'.repeat(78)}\ufffd…`);
  const circular: { self?: unknown } = {};
  circular.self = circular;
  assert.equal(shown(circular), 'object');
  assert.deepEqual([10n, Number.NaN, Number.NEGATIVE_INFINITY, -0.5].map(shown), ['10', 'NaN', '-Infinity', '-0.5']);
  assert.equal(shown(undefined), 'undefined');
});

test('the code determines whether an error is retryable, unless the option is set', () => {
  assert.equal(new TailraceError('unavailable', 'x').retryable, true);
  assert.equal(new TailraceError('invalid_report', 'x').retryable, false);
  assert.equal(new TailraceError('unavailable', 'x', { retryable: false }).retryable, false);
});

test('another exception becomes `internal`, without its message', () => {
  const cause = new RangeError('password=secret');
  const error = tailraceErrorFrom(cause);
  assert.equal(error.code, 'internal');
  assert.doesNotMatch(error.message, /secret/);
  assert.equal(error.cause, cause);
  assert.equal(tailraceErrorFrom(error), error);
});

test('an error as JSON has its message, and neither cause nor stack', () => {
  const error = new TailraceError('unavailable', 'no answer', { cause: new Error('secret') });
  assert.deepEqual(JSON.parse(JSON.stringify({ error })), {
    error: { name: 'TailraceError', code: 'unavailable', message: 'no answer', retryable: true },
  });
});
