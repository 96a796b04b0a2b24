import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { migrate } from '@tailrace/database/migrations';
import { createPgDatabase } from '@tailrace/database/pg';
import { eventsTopicSpec } from '@tailrace/eventlog/events-topic';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { tailrace } from '@tailrace/protocol/generated';
import { eventually } from '@tailrace/testkit/eventually';
import { startPostgres } from '@tailrace/testkit/postgres';
import { AlarmReader } from '../src/alarms/alarm-reader.ts';
import { Notifications } from '../src/notifications/notifications.ts';
import { OutwardAddresses } from '../src/notifications/outward-address.ts';
import { createPost } from '../src/notifications/outward-request.ts';
import { routeSchema } from '../src/notifications/route.ts';
import { targetSchema } from '../src/notifications/target.ts';
import { newWebhookSecret } from '../src/notifications/webhook.ts';
import { createTriggers } from './trigger-fixture.ts';

/* What a store with one connection cannot show: two processes that store the same events at once. */

const { AlarmCause, AlarmState, Event } = tailrace.v1;
const devices = Array.from({ length: 20 }, (_, n) => `plant1.m${n}`);
const perDevice = 100;

test('two processes that both have all partitions store and notify each transition once, in order', async (t) => {
  const server = await startPostgres();
  t.after(() => server.stop());
  const url = await server.createDatabase();
  const database = createPgDatabase({ url, logger: silentLogger, connectionsMax: 10 });
  await database.start();
  t.after(() => database.close());
  await migrate(database, { directory: join(import.meta.dirname, '../migrations') });
  const insert = async (table: string, settings: unknown) => {
    const sql = `INSERT INTO ${table} (id, tenant, version, settings, changed_by, changed_ms)
      VALUES ('all', '', 1, $1::jsonb, 'test', 0)`;
    await database.query(sql, [JSON.stringify(settings)]);
  };
  const hook = { kind: 'webhook', url: 'https://example.org', secrets: [newWebhookSecret()] };
  await insert('notification_targets', targetSchema.parse(hook));
  await insert('notification_routes', routeSchema.parse({ patterns: ['>'], targets: ['all'] }));
  const log = createMemoryLog({ clock: systemClock }).connect();
  await log.start();
  t.after(() => log.close());
  await log.ensureTopic(eventsTopicSpec('x.events', 3));

  const readers = ['c1', 'c2'].map((worker) => {
    const metrics = createMetrics({ service: 'control', node: worker, processMetrics: false });
    const common = { database, clock: systemClock, logger: silentLogger, metrics, worker };
    const post = createPost({ addresses: new OutwardAddresses([]) });
    const notifications = new Notifications({
      context: { ...common, random: Math.random },
      ...{ post, mail: undefined },
    });
    return new AlarmReader({
      ...{ ...common, eventLog: log, eventsTopic: 'x.events', alarmsTopic: 'x.alarms', partitions: 3 },
      ...{ retentionMs: 86_400_000, triggers: createTriggers(systemClock, metrics) },
      // Nothing is sent: the rows show what would be.
      notifications: { take: (transaction, notices) => notifications.take(transaction, notices), wake() {} },
    });
  });
  for (const reader of readers) reader.start();
  t.after(() => Promise.all(readers.map((reader) => reader.stop())));
  const written = (async () => {
    for (let number = 1; number <= perDevice; number++) {
      const records = devices.map((device) => {
        const id = `${device}/${number}`;
        const fields = { id, device, rule: 'hot', alarm: 'a1', number, time: Date.now() };
        const state = AlarmState.ALARM_STATE_UNACKNOWLEDGED;
        const alarmTransition = { ...fields, state, cause: AlarmCause.ALARM_CAUSE_RAISED };
        return { key: device, value: Event.encode({ alarmTransition }).finish() };
      });
      await log.append('x.events', records);
      await systemClock.sleep(5);
    }
  })();
  const count = async (table: string) =>
    (await database.query<{ count: number }>(`SELECT count(*) AS count FROM ${table}`)).rows[0]!.count;
  await eventually(async () => {
    // The next process that claims them gets them, while the other one does not know it yet.
    await database.query('UPDATE alarm_positions SET until_ms = 0');
    await Promise.all(readers.map((reader) => reader.poll()));
    assert.equal(await count('alarm_transitions'), devices.length * perDevice);
  });
  await written;
  assert.equal(await count('notifications'), devices.length * perDevice);
  const { rows } = await database.query<{ device: string; numbers: number[] }>(
    `SELECT device, array_agg((transition ->> 'number')::integer ORDER BY position) AS numbers
     FROM alarm_transitions GROUP BY device`,
  );
  const expected = Array.from({ length: perDevice }, (_, n) => n + 1);
  for (const { device, numbers } of rows) assert.deepEqual(numbers, expected, device);
  assert.equal(await count(`alarms WHERE number = ${perDevice}`), devices.length);
});
