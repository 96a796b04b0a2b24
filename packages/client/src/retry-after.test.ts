import assert from 'node:assert/strict';
import { test } from 'node:test';
import { retryAfterMs, retryAfterMsMax } from './retry-after.ts';

test('seconds and dates are parsed and bounded, and an invalid header is ignored', () => {
  const now = Date.parse('2024-05-01T12:00:00Z');
  assert.equal(retryAfterMs('7', now), 7000);
  assert.equal(retryAfterMs('Wed, 01 May 2024 12:00:30 GMT', now), 30_000);
  assert.equal(retryAfterMs('Wed, 01 May 2024 11:00:00 GMT', now), 0);
  assert.equal(retryAfterMs('999999999', now), retryAfterMsMax);
  for (const text of [null, '', '-', 'soon', '1e9999']) assert.equal(retryAfterMs(text, now), undefined, String(text));
});
