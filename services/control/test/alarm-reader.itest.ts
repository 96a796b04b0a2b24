import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import type { Database } from '@tailrace/database/database';
import { alarmsTopicSpec } from '@tailrace/eventlog/alarm-topics';
import type { EventLog } from '@tailrace/eventlog/event-log';
import { eventsTopicSpec } from '@tailrace/eventlog/events-topic';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { eventually } from '@tailrace/testkit/eventually';
import { AlarmReader, readerTimes } from '../src/alarms/alarm-reader.ts';
import { newWebhookSecret } from '../src/notifications/webhook.ts';
import { createStore, Receiver, startNotifications } from './notification-fixture.ts';
import { createTriggers } from './trigger-fixture.ts';

/** The reader of alarms on a real store, with the log in memory, and real notifications. */
let database: Database;
before(async () => {
  database = await createStore();
});
after(() => database?.close());

const { AlarmCheckpoint, AlarmCause, AlarmState, Event } = tailrace.v1;
const device = 'plant1.press7';
const partitions = 3;

type Transition = Partial<tailrace.v1.IAlarmTransition>;

/** Where a transaction of a process stops. */
interface Failures {
  /** Its next transaction fails before the commit, or after it without an answer. */
  next?: 'before' | 'after' | undefined;
  isAway?: boolean;
  /** Its next transaction waits for it. */
  gate?: Promise<void> | undefined;
}

const unavailable = () => new TailraceError('unavailable', 'the connection is lost', { retryable: true });

function withFailures(failures: Failures): Database {
  return new Proxy(database, {
    get(target, name) {
      if (name === 'query')
        return async (...parameters: Parameters<Database['query']>) => {
          if (failures.isAway) throw unavailable();
          return await target.query(...parameters);
        };
      if (name !== 'transaction') return Reflect.get(target, name);
      return async (...[work]: Parameters<Database['transaction']>) => {
        if (failures.isAway) throw unavailable();
        const { gate, next } = failures;
        failures.gate = undefined;
        failures.next = undefined;
        await gate;
        const result = await target.transaction(async (transaction) => {
          const done = await work(transaction);
          if (next === 'before') throw unavailable();
          return done;
        });
        if (next === 'after') throw unavailable();
        return result;
      };
    },
  });
}

async function startReaders(t: TestContext, { retentionBytes = 33_554_432, retentionMs = 86_400_000 } = {}) {
  for (const table of ['alarm_positions', 'alarms', 'alarm_transitions', 'alarm_refusals', 'notifications'])
    await database.query(`DELETE FROM ${table}`);
  const readers: AlarmReader[] = [];
  // Before the fixture's, which finds out whether a timer is left.
  t.after(() => Promise.all(readers.map((reader) => reader.stop())));
  const receiver = await Receiver.start(t);
  const outward = await startNotifications(t, { database });
  await outward.target('hook', { kind: 'webhook', url: receiver.url, secrets: [newWebhookSecret()] });
  await outward.route('all', { targets: ['hook'] });
  const { clock, notifications } = outward;
  const createLog = async (): Promise<EventLog> => {
    const created = createMemoryLog({ clock }).connect();
    await created.start();
    await created.ensureTopic({ ...eventsTopicSpec('x.events', partitions), retentionBytes });
    t.after(() => created.close());
    return created;
  };
  let log = await createLog();
  const eventLog: Pick<EventLog, 'describeTopic' | 'bounds' | 'read'> = {
    describeTopic: (topic) => log.describeTopic(topic),
    bounds: (topic, of) => log.bounds(topic, of),
    read: (topic, partition, range) => log.read(topic, partition, range),
  };
  const append = async (event: tailrace.v1.IEvent, key = device) =>
    (await log.append('x.events', [{ key, value: Event.encode(event).finish() }]))[0]!.seq;
  const transition = (number: number, fields: Transition = {}): tailrace.v1.IAlarmTransition => ({
    ...{ id: `t${number}`, alarm: 'a1', rule: 'hot', device, number, time: clock.now(), activated: clock.now() },
    ...{ state: AlarmState.ALARM_STATE_UNACKNOWLEDGED, cause: AlarmCause.ALARM_CAUSE_RAISED, priority: 2, ...fields },
  });
  const texts = async (sql: string) => (await database.query<{ text: string }>(sql)).rows.map(({ text }) => text);
  return {
    ...{ receiver, clock, append, transition, metric: outward.metric },
    start(worker: string, failures: Failures = {}) {
      const metrics = createMetrics({ service: 'control', node: worker, processMetrics: false });
      const reader = new AlarmReader({
        ...{ database: withFailures(failures), eventLog, eventsTopic: 'x.events', alarmsTopic: 'x.alarms', partitions },
        ...{ notifications, retentionMs, worker, clock, logger: silentLogger, metrics },
        triggers: createTriggers(clock, metrics),
      });
      reader.start();
      readers.push(reader);
      return {
        reader,
        /** Reads everything that is in the log now. */
        async read() {
          // The first one may have started before.
          for (let n = 0; n < 3; n++) await reader.poll();
        },
        async metric(name: string) {
          const line = (await metrics.text()).split('\n').find((each) => each.startsWith(`${name}{`));
          return Number(line?.split(' ').at(-1));
        },
      };
    },
    /** Appends a transition. */
    transit: (number: number, fields: Transition = {}) => append({ alarmTransition: transition(number, fields) }),
    async checkpoint(transitions: readonly tailrace.v1.IAlarmTransition[], key = device) {
      await log.ensureTopic(alarmsTopicSpec('x.alarms', partitions));
      const value = AlarmCheckpoint.encode({ epoch: 'e', state: new Uint8Array([1]), transitions: [...transitions] });
      await log.append('x.alarms', [{ key, value: value.finish() }]);
    },
    async recreate() {
      log = await createLog();
    },
    positions: () => texts(`SELECT partition || ' ' || next AS text FROM alarm_positions ORDER BY partition`),
    history: () => texts(`SELECT id AS text FROM alarm_transitions ORDER BY position`),
    current: () =>
      texts(`SELECT device || ' ' || rule || ' ' || number || ' ' || state AS text FROM alarms ORDER BY 1`),
    refusals: () => texts(`SELECT action || ' ' || code AS text FROM alarm_refusals ORDER BY 1`),
  };
}

const returned = { state: AlarmState.ALARM_STATE_NORMAL, cause: AlarmCause.ALARM_CAUSE_RETURNED };

test('transitions are stored and notified once, over failures before and after the commit', async (t) => {
  const { start, append, transit, history, current, refusals, receiver } = await startReaders(t);
  const failures: Failures = {};
  const { read, metric } = start('c1', failures);
  await transit(1);
  await append({ ingestAlive: { node: 'ingest-0' } }, 'no-device');
  await read();
  await transit(2, { cause: AlarmCause.ALARM_CAUSE_LIMIT_CHANGED, limit: 'HH' });
  await append({ alarmActionRefused: { action: 'x1', device, rule: 'hot', code: 'conflict', message: 'changed' } });
  failures.next = 'before';
  await read();
  assert.equal(failures.next, undefined);
  await transit(3, returned);
  failures.next = 'after';
  await read();
  assert.equal(failures.next, undefined);
  await transit(3, returned);
  await read();
  assert.deepEqual(await history(), ['t1', 't2', 't3']);
  assert.deepEqual(await current(), [`${device} hot 3 normal`]);
  assert.deepEqual(await refusals(), ['x1 conflict']);
  await receiver.received(3);
  assert.deepEqual(receiver.ids, ['t1', 't2', 't3']);
  assert.equal(await metric('tailrace_control_alarm_read_failures_total'), 2);
  assert.equal(await metric('tailrace_control_alarm_duplicate_events_total'), 1);
  assert.equal(await metric('tailrace_control_alarm_lag_records'), 0);
});

test('what happens while PostgreSQL is away is stored when it is back', async (t) => {
  const { start, transit, history, current } = await startReaders(t);
  const failures: Failures = {};
  const { read } = start('c1', failures);
  await transit(1);
  await read();
  failures.isAway = true;
  for (let number = 2; number <= 20; number++) await transit(number);
  await read();
  assert.deepEqual(await history(), ['t1']);
  failures.isAway = false;
  await read();
  assert.equal((await history()).length, 20);
  assert.deepEqual(await current(), [`${device} hot 20 unacknowledged`]);
});

test('a process that was stopped and goes on stores nothing that another one has stored', async (t) => {
  const { start, transit, history, positions, clock, receiver } = await startReaders(t);
  const failures: Failures = {};
  const first = start('c1', failures);
  await first.read();
  let open = () => {};
  failures.gate = new Promise((resolve) => {
    open = resolve;
  });
  await transit(1);
  const paused = first.reader.poll();
  const second = start('c2');
  await second.read();
  assert.equal(await second.metric('tailrace_control_alarm_partitions'), 0, 'the first one has the partitions');
  await clock.advance(readerTimes.holdMs + readerTimes.renewMs);
  await second.read();
  assert.equal(await second.metric('tailrace_control_alarm_partitions'), partitions);
  await transit(2);
  await second.read();
  const before = await positions();
  open();
  await paused;
  assert.deepEqual(await positions(), before);
  await first.read();
  assert.equal(await first.metric('tailrace_control_alarm_partitions'), 0);
  assert.equal(await first.metric('tailrace_control_alarm_transitions_total'), 0);
  await transit(3);
  await Promise.all([first.read(), second.read()]);
  assert.deepEqual(await history(), ['t1', 't2', 't3']);
  await receiver.received(3);
  assert.deepEqual(receiver.ids, ['t1', 't2', 't3']);
  await second.reader.stop();
  await clock.advance(readerTimes.renewMs);
  await transit(4);
  await first.read();
  assert.deepEqual(await history(), ['t1', 't2', 't3', 't4'], 'a process that stops leaves its partitions at once');
});

test('what a former owner of the partition writes is dropped, also by the next process', async (t) => {
  const { start, append, transit, history, current } = await startReaders(t);
  const first = start('c1');
  const former = await append({ alarmOwner: { node: 'alarms-0' } });
  await transit(1, { owner: former });
  const owner = await append({ alarmOwner: { node: 'alarms-1' } });
  await transit(2, { owner });
  await first.read();
  await first.reader.stop();
  await transit(3, { owner: former, id: 'zombie' });
  await append({ alarmActionRefused: { action: 'x', device, rule: 'hot', code: 'conflict', owner: former } });
  await transit(3, { owner, ...returned });
  const second = start('c2');
  await second.read();
  assert.deepEqual(await history(), ['t1', 't2', 't3']);
  assert.deepEqual(await current(), [`${device} hot 3 normal`]);
  assert.equal(await second.metric('tailrace_control_alarm_duplicate_events_total'), 2);
});

test('alarms whose events the log has removed meanwhile come from the checkpoints, and are notified once', async (t) => {
  const { start, transit, transition, checkpoint, history, current, receiver } = await startReaders(t, {
    retentionBytes: 400,
  });
  const first = start('c1');
  await transit(1);
  await first.read();
  await first.reader.stop();
  await transit(2, returned);
  await transit(1, { rule: 'cold', id: 'cold1' });
  for (let number = 1; number <= 20; number++) await transit(number, { rule: 'wet', id: `wet${number}` });
  await checkpoint([transition(2, returned), transition(1, { rule: 'cold', id: 'cold1' })]);
  const second = start('c2');
  await second.read();
  assert.equal(await second.metric('tailrace_control_alarm_event_gaps_total'), 1);
  assert.deepEqual(await current(), [
    `${device} cold 1 unacknowledged`,
    `${device} hot 2 normal`,
    `${device} wet 20 unacknowledged`,
  ]);
  const stored = await history();
  assert.ok(stored.length < 23, 'those of the gap are lost');
  await receiver.received(stored.length);
  assert.deepEqual(new Set(receiver.ids), new Set(stored));
  assert.equal(receiver.ids.length, stored.length);
});

test('of a topic that was re-created everything counts, and alarms that it does not have are removed', async (t) => {
  const { start, transit, append, history, current, recreate } = await startReaders(t);
  const { read } = start('c1');
  await append({ alarmOwner: {} });
  for (let number = 1; number <= 5; number++) await transit(number);
  await transit(1, { rule: 'cold', id: 'cold1' });
  await read();
  await recreate();
  for (const number of [1, 2]) await transit(number, { alarm: 'a2' });
  await read();
  assert.deepEqual(await current(), [`${device} hot 2 unacknowledged`]);
  assert.deepEqual(await history(), ['t1', 't2', 't3', 't4', 't5', 'cold1', 't1', 't2']);
});

test('the stored position follows events that are none of alarms, which the log removes', async (t) => {
  const { start, append, positions, clock } = await startReaders(t);
  const { read, metric } = start('c1');
  await read();
  await append({ ingestAlive: { node: 'ingest-0' } });
  await read();
  assert.deepEqual(await positions(), ['0 0', '1 0', '2 0']);
  assert.equal(await metric('tailrace_control_alarm_lag_records'), 0);
  await clock.advance(readerTimes.skippedMs);
  await read();
  assert.deepEqual(await positions(), ['0 0', '1 1', '2 0']);
});

test('what is older than the retention is removed, but no alarm that stands', async (t) => {
  const { start, transit, history, current, refusals, clock, append } = await startReaders(t);
  const { read } = start('c1');
  await append({ alarmActionRefused: { action: 'x', device, rule: 'hot', code: 'conflict' } });
  await transit(1);
  await transit(1, { rule: 'cold', id: 'cold1', ...returned });
  await read();
  clock.setWallClock(clock.now() + 86_400_000 - readerTimes.removeMs);
  await transit(1, { rule: 'wet', id: 'wet1' });
  await read();
  assert.equal((await history()).length, 3);
  await clock.advance(2 * readerTimes.removeMs);
  // A removal goes on after the timer that starts it.
  await eventually(async () => {
    assert.deepEqual(await history(), ['wet1']);
    assert.deepEqual(await refusals(), []);
    assert.deepEqual(await current(), [`${device} hot 1 unacknowledged`, `${device} wet 1 unacknowledged`]);
  });
});

test('alarmRetentionMs decides how long transitions and refusals are kept', async (t) => {
  const retentionMs = 31 * 86_400_000;
  const { start, transit, history, refusals, clock, append } = await startReaders(t, { retentionMs });
  const { read } = start('c1');
  await append({ alarmActionRefused: { action: 'x', device, rule: 'hot', code: 'conflict' } });
  await transit(1);
  await read();
  clock.setWallClock(clock.now() + 86_400_000);
  await append({ alarmActionRefused: { action: 'y', device, rule: 'hot', code: 'conflict' } });
  await transit(2);
  await read();
  clock.setWallClock(clock.now() + retentionMs - 86_400_000 - 2 * readerTimes.removeMs);
  await clock.advance(readerTimes.removeMs);
  await read();
  assert.deepEqual(
    [await history(), await refusals()],
    [
      ['t1', 't2'],
      ['x conflict', 'y conflict'],
    ],
  );
  await clock.advance(2 * readerTimes.removeMs);
  await eventually(async () => {
    assert.deepEqual([await history(), await refusals()], [['t2'], ['y conflict']]);
  });
});
