import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Database } from '@tailrace/database/database';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { OutboxRelay } from './outbox-relay.ts';

test('a process that another one has replaced moves no further rows', async () => {
  const clock = createFakeClock();
  const row = { topic: 'events', key: 'a.b', value: new Uint8Array(1), traceparent: '' };
  const rows = Array.from({ length: 500 }, (_, position) => ({ ...row, position }));
  let holds = 0;
  let appends = 0;
  const database = {
    listen: async () => ({ stop: async () => {} }),
    query: async (sql: string) => {
      if (sql.startsWith('UPDATE outbox_relay SET holder')) return { rows: [], rowCount: holds++ === 0 ? 1 : 0 };
      if (sql.startsWith('WITH moved')) return { rows, rowCount: rows.length };
      return { rows: [], rowCount: 0 };
    },
  };
  const relay = new OutboxRelay({
    ...{ database: database as unknown as Database, topicPrefix: 'tailrace', worker: 'a', rowsMax: 10_000 },
    eventLog: {
      append: async () => {
        // Stops a process that goes on.
        if (++appends > 3) throw new Error('expected one append');
        await clock.sleep(1_500);
        return [];
      },
    },
    ...{
      clock,
      logger: silentLogger,
      metrics: createMetrics({ service: 'control', node: 'a', processMetrics: false }),
    },
  });
  await relay.start();
  await clock.advance(1_700);
  assert.equal(appends, 1);
  assert.equal(holds, 2);
  await relay.stop();
});
