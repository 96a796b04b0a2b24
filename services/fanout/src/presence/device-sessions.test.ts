import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { tailrace } from '@tailrace/protocol/generated';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { Device, ReportInterval } from '../channels/device.ts';
import { DeviceSessions, type SessionPartition } from './device-sessions.ts';
import type { ConnectedState, IdleState } from './presences.ts';

const topic = 'tailrace.events';
const nowMs = 1_764_446_400_000;
const { Event, PresenceState } = tailrace.v1;
const offlineState = PresenceState.PRESENCE_STATE_OFFLINE;

async function setUp({ sessionsMax = 100 } = {}) {
  const clock = createFakeClock({ nowMs });
  const eventLog = createMemoryLog({ clock }).connect();
  await eventLog.start();
  await eventLog.ensureTopic({ name: topic, partitions: 1, retentionMs: 1e9, retentionBytes: 1e9 });
  const share = { tenant: 'plant1', devices: 1, bytes: 0 };
  const device = new Device('plant1.a', 0, share);
  device.lastSeq = 7;
  device.reportInterval = new ReportInterval();
  device.reportInterval.add(nowMs - 1_000);
  const idle: IdleState[] = [];
  const online: ConnectedState[] = [];
  const state = { role: 'owned', next: 8, isCurrent: true };
  const partition: SessionPartition = {
    number: 0,
    get role() {
      return state.role;
    },
    get next() {
      return state.next;
    },
    devices: { get: (path) => (path === device.path ? device : undefined) },
    progress: { isCurrent: () => state.isCurrent },
    setIdle: (_device, set) => void idle.push(set),
    setOnline: (_device, connected) => void online.push(connected),
  };
  const sessions = new DeviceSessions({
    ...{ eventLog, topic, epoch: 'e1', partitions: [partition], clock, sessionsMax },
    range: (number, range) => eventLog.read(topic, number, range),
  });
  const append = async (event: tailrace.v1.Event.$Properties, key = 'plant1.a') => {
    await eventLog.append(topic, [{ key, value: Event.encode(event).finish() }]);
  };
  return {
    ...{ clock, eventLog, device, idle, online, state, sessions, append },
    started: (session: number, key?: string, process = '') =>
      append({ sessionStarted: { session, node: 'ingest-0', atMs: clock.now(), process } }, key),
    alive: (process: string) => append({ ingestAlive: { node: 'ingest-0', process, atMs: clock.now() } }, '!alive/0'),
    closed: (session: number, rest: tailrace.v1.SessionClosed.$Properties = {}) =>
      append({ sessionClosed: { session, atMs: clock.now(), graceMs: 5_000, lastSeq: 7, epoch: 'e1', ...rest } }),
    /** Polls for some seconds, every half second. */
    async poll(seconds = 0) {
      await sessions.poll();
      for (let half = 0; half < 2 * seconds; half++) {
        await clock.advance(500);
        await sessions.poll();
      }
    },
  };
}

test('a device is offline after the grace time of its last session, since the session closed', async () => {
  const { started, closed, poll, idle, sessions } = await setUp();
  await started(5);
  await poll();
  assert.deepEqual([sessions.open, sessions.size], [1, 1]);
  await closed(5);
  await poll(4.5);
  assert.deepEqual(idle, []);
  await poll(0.5);
  assert.deepEqual(idle, [
    { state: tailrace.v1.PresenceState.PRESENCE_STATE_OFFLINE, sinceMs: nowMs, seq: 7, session: 5 },
  ]);
  assert.deepEqual([sessions.open, sessions.counts.offline], [0, 1]);
});

test('a device is online by a session that starts, once all events are read, and not by one that has closed', async () => {
  const { started, closed, poll, online, state } = await setUp();
  await started(5, undefined, 'p1');
  await closed(5);
  await poll();
  assert.deepEqual(online, []);
  state.isCurrent = false;
  await started(6, undefined, 'p1');
  await poll();
  assert.deepEqual(online, []);
  state.isCurrent = true;
  await poll();
  await poll();
  assert.deepEqual(online, [{ seq: 7, session: 6 }]);
});

test('a device that sent bye is offline at the next poll', async () => {
  const { started, closed, poll, idle } = await setUp();
  await poll();
  await started(5);
  await closed(5, { graceMs: 0 });
  await poll();
  assert.equal(idle.length, 1);
});

test('a device is not offline between two sessions, in whichever order their events are read', async () => {
  const events = { started: (t: Set) => t.started(6), closed: (t: Set) => t.closed(5) };
  type Set = Awaited<ReturnType<typeof setUp>>;
  for (const order of [
    ['started', 'closed'],
    ['closed', 'started'],
  ] as const) {
    const each = await setUp();
    await each.started(5);
    await each.poll();
    for (const kind of order) await events[kind](each);
    await each.poll(20);
    assert.deepEqual(each.idle, [], order.join());
    assert.equal(each.sessions.open, 1, order.join());
  }
});

test('the start of a session that is read after its close does not open it again', async () => {
  const { started, closed, poll, sessions, idle } = await setUp();
  await closed(5);
  await started(5);
  await closed(5);
  await poll(6);
  assert.deepEqual([sessions.open, idle.length], [0, 1]);
});

test('a device is offline behind its last report, and not before the log is read', async () => {
  const { closed, poll, idle, state, device } = await setUp();
  await closed(5, { lastSeq: 9 });
  await poll(6);
  assert.deepEqual(idle, []);
  state.next = 10;
  state.isCurrent = false;
  await poll(2);
  assert.deepEqual(idle, []);
  state.isCurrent = true;
  device.lastSeq = 9;
  await poll();
  assert.deepEqual(
    idle.map(({ seq }) => seq),
    [9],
  );
});

test('a device that reports by another way stays online', async () => {
  for (const lastSeq of [6, undefined]) {
    const { closed, poll, idle, device, clock } = await setUp();
    await closed(5, lastSeq === undefined ? { lastSeq: null } : { lastSeq });
    device.reportInterval!.add(clock.now() + 1_000);
    await poll(10);
    assert.deepEqual(idle, []);
  }
});

test('a new owner reads all events before it decides, and a session that has closed long ago is offline at once', async () => {
  const { started, closed, poll, idle, state, clock } = await setUp();
  state.role = 'elsewhere';
  await started(5);
  await closed(5);
  await clock.advance(60_000);
  await poll();
  assert.equal(idle.length, 0);
  state.role = 'owned';
  await poll();
  assert.deepEqual(
    idle.map(({ sinceMs }) => sinceMs),
    [nowMs],
  );
});

test('records that are no event, events of an older session, and events beyond the limit change nothing', async () => {
  const { started, closed, append, poll, eventLog, sessions, idle } = await setUp({ sessionsMax: 1 });
  await started(5);
  await eventLog.append(topic, [{ key: 'plant1.a', value: Uint8Array.of(0xff, 0xff, 0xff) }]);
  await append({ sessionConflict: { takeovers: 4 } });
  await closed(4);
  await started(6, 'plant1.b');
  await poll(20);
  assert.deepEqual([idle, sessions.size], [[], 1]);
  assert.deepEqual(sessions.counts, { applied: 1, ignored: 3, invalid: 1, offline: 0, orphaned: 0 });
});

test('an open session counts as a connection while its ingest process runs, and no longer: then the device is offline', async () => {
  const { started, alive, poll, sessions, device, idle, clock } = await setUp();
  await started(5, 'plant1.a', 'p1');
  await poll();
  assert.equal(sessions.openOf(device) !== undefined, true);
  for (let pass = 0; pass < 9; pass++) {
    await poll(20);
    await alive('p1');
  }
  await poll(59);
  const aliveMs = clock.now() - 59_000;
  assert.deepEqual([sessions.openOf(device) !== undefined, idle], [true, []]);
  // The next process of the node has none of its sessions.
  await alive('p2');
  await poll(2);
  assert.deepEqual([sessions.openOf(device) !== undefined, sessions.open, sessions.counts.orphaned], [false, 0, 1]);
  assert.deepEqual(idle, [{ state: offlineState, sinceMs: aliveMs + 20_000, seq: 7, session: 5 }]);
});

test('a device of a process that is gone stays as it is if it has a session on another one, or has reported since', async () => {
  const { started, poll, sessions, device, idle, clock } = await setUp();
  await started(5, 'plant1.a', 'p1');
  await poll(30);
  await started(6, 'plant1.a', 'p2');
  await poll(40);
  assert.deepEqual([sessions.openOf(device) !== undefined, sessions.counts.orphaned, idle], [true, 0, []]);
  device.reportInterval!.add(clock.now() + 10_000);
  await poll(30);
  assert.deepEqual([sessions.openOf(device) !== undefined, sessions.counts.orphaned, idle], [false, 1, []]);
});

test('after a pause in reading no process is gone before it could have written', async () => {
  const { started, alive, poll, sessions, device, state, clock } = await setUp();
  await started(5, 'plant1.a', 'p1');
  await poll();
  state.isCurrent = false;
  await poll(300);
  state.isCurrent = true;
  await poll(30);
  assert.equal(sessions.openOf(device) !== undefined, true);
  await alive('p1');
  await poll(59);
  assert.equal(sessions.openOf(device) !== undefined, true);
  await clock.advance(300_000);
  await poll(1);
  assert.equal(sessions.openOf(device) !== undefined, true, 'the owner itself was paused');
});

test('a session of a process that announces nothing protects no device, and is not orphaned', async () => {
  const { started, poll, sessions, device } = await setUp();
  await started(5);
  await poll(200);
  assert.deepEqual([sessions.openOf(device) !== undefined, sessions.open, sessions.counts.orphaned], [false, 1, 0]);
});

test('a closed session is forgotten after ten minutes', async () => {
  const { closed, poll, sessions } = await setUp();
  await closed(5);
  await poll(6);
  assert.equal(sessions.size, 1);
  await poll(600);
  assert.equal(sessions.size, 0);
});

test('the report of a will that follows the close of its session is no sign of life', async () => {
  for (const waitSeconds of [0, 6, 900]) {
    const { started, closed, poll, idle, device, state, sessions } = await setUp();
    await started(5);
    await closed(5);
    await poll(waitSeconds);
    idle.length = 0;
    device.lastSeq = 9;
    state.next = 10;
    await closed(5, { lastSeq: 9, graceMs: 0 });
    await closed(5, { lastSeq: 8, graceMs: 0 });
    await poll();
    assert.deepEqual(
      idle.map(({ seq }) => seq),
      [9],
      `${waitSeconds} s`,
    );
    await started(6);
    await poll(700);
    assert.equal(sessions.open, 1);
  }
});
