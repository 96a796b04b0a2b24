import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import { TailraceError } from '@tailrace/protocol/error';
import { answerOf } from './endpoint.ts';

test('a limit is an error of the client, unless it is free again later by itself', async () => {
  const answer = (retryable: boolean) =>
    answerOf(
      silentLogger,
      200,
      () => {},
      () => Promise.reject(new TailraceError('limit_reached', 'expected less', { retryable })),
    );
  const stays = await answer(false);
  assert.deepEqual([stays.status, stays.headers.some(([name]) => name === 'retry-after')], [422, false]);
  const passes = await answer(true);
  assert.deepEqual([passes.status, passes.headers.some(([name]) => name === 'retry-after')], [503, true]);
});
