import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPositions, positionsFromToken } from '@tailrace/protocol/position';
import { tooSlowReason } from './subscriptions.ts';

const epoch = '0b7f9f6e-3f0c-4f3a-9c0e-6c1f0d3f8a55';
const prefix = 'too slow; after=';

test('a slow client is sent the lowest position of its subscriptions in each partition', () => {
  const reason = tooSlowReason([
    createPositions(epoch, [[3, 100]]),
    createPositions(epoch, [
      [3, 90],
      [5, -1],
    ]),
  ]);
  assert.ok(reason.startsWith(prefix));
  const token = positionsFromToken(reason.slice(prefix.length));
  assert.equal(token.epoch, epoch);
  assert.deepEqual(token.entries(), [
    [3, 90],
    [5, -1],
  ]);
});

test('a reason never has more than the 123 bytes that a close frame takes: a token that is longer is left out', () => {
  const lasts = (count: number) => Array.from({ length: count }, (_, partition) => [partition, 1_000_000] as const);
  let withToken = 0;
  for (let count = 1; count < 100; count++) {
    const reason = tooSlowReason([createPositions(epoch, lasts(count))]);
    assert.ok(reason.length <= 123, `${count}: ${reason.length}`);
    if (reason.startsWith(prefix)) withToken = count;
    else assert.equal(reason, 'too slow');
  }
  assert.ok(withToken >= 8, `${withToken} partitions`);
  assert.equal(tooSlowReason([]), 'too slow');
});
