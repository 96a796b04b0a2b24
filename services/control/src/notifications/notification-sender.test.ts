import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as settled } from 'node:timers/promises';
import type { Database } from '@tailrace/database/database';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { createNotificationCounts } from './notification-counts.ts';
import { NotificationSender } from './notification-sender.ts';

test('a wake-up at any moment of a pass has a pass after it', async () => {
  let queries = 0;
  const database: Pick<Database, 'query' | 'listen'> = {
    async query() {
      queries++;
      return { rows: [], rowCount: 0 };
    },
    listen: async () => ({ stop: async () => {} }),
  };
  const metrics = createMetrics({ service: 'control', node: 'c1', processMetrics: false });
  const usage = () => ({ rows: 0, ofOne: 0, oldestSeconds: 0, busy: 0 });
  const sender = new NotificationSender({
    ...{ database: database as Database, targetsMax: 10, worker: 'c1', clock: createFakeClock() },
    ...{ attempt: { send: () => assert.fail() }, random: () => 0, logger: silentLogger },
    counts: createNotificationCounts(metrics, usage, { waitingMax: 10, targetsMax: 10 }),
  });
  for (let turns = 0; turns < 20; turns++) {
    sender.wake();
    for (let turn = 0; turn < turns; turn++) await undefined;
    const before = queries;
    sender.wake();
    await settled();
    assert.ok(queries > before, `after ${turns} turns`);
  }
  await sender.stop();
});
