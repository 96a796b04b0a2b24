import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { statusOf } from './api-error.ts';

test('a limit is an error of the client, unless it is free again later by itself', () => {
  const limit = (retryable: boolean) => new TailraceError('limit_reached', 'expected less', { retryable });
  assert.deepEqual([statusOf(limit(false)), statusOf(limit(true))], [422, 503]);
  assert.equal(statusOf(new TailraceError('rate_limited', 'expected less')), 429);
  assert.equal(statusOf(new TailraceError('address_in_use', 'expected another port')), 500);
});
