import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { PgListener } from './pg-listener.ts';

test('a connection whose server refuses to listen is closed before the next one', async () => {
  const clock = createFakeClock();
  let connects = 0;
  let open = 0;
  const listener = new PgListener({
    clock,
    random: () => 0.5,
    logger: silentLogger,
    connect: async () => {
      connects++;
      open++;
      const isReplica = connects < 4;
      return {
        query: async () => {
          if (isReplica) throw new Error('cannot execute LISTEN during recovery');
        },
        end: async () => {
          open--;
        },
        on: () => {},
      };
    },
  });
  const listening = listener.listen('rules', { onNotification: () => {}, onReconnect: () => {} });
  while (connects < 4) await clock.advance(5_000);
  await listening;
  assert.equal(open, 1);
  await listener.close();
  assert.equal(open, 0);
});
