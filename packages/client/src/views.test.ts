import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPositions, positionsFromToken, tokenFromPositions } from '@tailrace/protocol/position';
import { delivery, fakeSockets } from '../test/fake-socket.ts';
import { createStream } from './stream.ts';
import type { Presence, SubscribeOptions } from './subscription.ts';
import { SubscriptionRecord } from './subscription-record.ts';
import { createTestServer } from './testing.ts';

async function setUp(options: SubscribeOptions = {}) {
  const server = createTestServer();
  const stream = server.stream();
  const values: Record<string, unknown>[] = [];
  const take = (
    reports: readonly { readonly readings: readonly { readonly tag: string; readonly value: unknown }[] }[],
  ) =>
    values.push(...reports.map(({ readings }) => Object.fromEntries(readings.map(({ tag, value }) => [tag, value]))));
  const states: string[] = [];
  const subscription = stream.subscribe('plant1.>', {
    onSnapshot: take,
    onReports: take,
    onState: ({ name }) => states.push(name),
    ...options,
  });
  await server.settled();
  return { server, stream, subscription, values, states };
}

test('the view options are requested, again after every reconnect', async () => {
  const view = { snapshot: false, maxRate: 2, deadband: { percent: 1 }, tags: ['t'], delta: true };
  const { server } = await setUp(view);
  server.drop();
  await server.clock.advance(0);
  const requests = server.received.flatMap((message) => ('subscribe' in message ? [message.subscribe] : []));
  assert.equal(requests.length, 2);
  for (const { id, channel, after, ...rest } of requests) assert.deepEqual(rest, view);
  assert.notEqual(requests[1]?.after, undefined);
});

test('invalid options are rejected at once', async () => {
  const { stream } = await setUp();
  for (const options of [{ from: 1, after: 'x' }, { speed: 2 }, { maxRate: -1 }, { align: Number.NaN }])
    assert.throws(() => stream.subscribe('plant1.>', options), { code: 'invalid_config' });
});

test('with delta only changes are sent, and every delivered report is whole', async () => {
  const { server, values } = await setUp({ delta: true });
  server.publish('plant1.a', { temperature: 1, running: true });
  server.publish('plant1.a', { temperature: 2, running: true });
  server.publish('plant1.b', { temperature: 9 });
  await server.settled();
  server.drop();
  server.publish('plant1.a', { temperature: 2, running: false });
  await server.clock.advance(0);
  server.publish('plant1.a', { temperature: 3, running: false });
  await server.settled();
  assert.deepEqual(values, [
    { temperature: 1, running: true },
    { temperature: 2, running: true },
    { temperature: 9 },
    { temperature: 2, running: false },
    { temperature: 3, running: false },
  ]);
});

test('with delta a change of unit or quality alone is sent, too', async () => {
  const { server, stream } = await setUp();
  const delivered: unknown[] = [];
  stream.subscribe('plant1.a', {
    delta: true,
    onReports: (reports) => delivered.push(...reports.map((r) => r.readings)),
  });
  await server.settled();
  for (const more of [{}, { unit: 'Cel' }, { unit: 'Cel', quality: 'bad' as const }]) {
    server.publish('plant1.a', [{ tag: 't', value: 1, ...more }]);
    await server.settled();
    assert.deepEqual(delivered.at(-1), [{ tag: 't', value: 1, ...more }]);
  }
});

test('with delta every reading with its own time is delivered', async () => {
  const readings: unknown[] = [];
  const { server } = await setUp({
    delta: true,
    onReports: (reports) => readings.push(reports.map((report) => report.readings)),
  });
  const four = (from: number) => [20, 20, 21, 21].map((value, i) => ({ tag: 't', value, time: from + i }));
  server.publish('plant1.a', four(1), 5);
  server.publish('plant1.a', four(11), 15);
  await server.settled();
  assert.deepEqual(readings.flat(), [four(1), four(11)]);
});

test('with align cuts are delivered once for each time, and start again on every connection', async () => {
  const cuts: [number, number][] = [];
  const { server } = await setUp({ align: 1000, onCut: ({ at, reports }) => cuts.push([at, reports.length]) });
  const startMs = server.clock.now();
  server.publish('plant1.a', { n: 1 });
  server.cut();
  server.cut();
  server.drop();
  await server.clock.advance(10);
  server.cut();
  await server.settled();
  assert.deepEqual(cuts, [
    [startMs, 1],
    [startMs + 10, 1],
  ]);
  const requests = server.received.flatMap((message) => ('subscribe' in message ? [message.subscribe.after] : []));
  assert.deepEqual(requests, [undefined, undefined]);
});

test('an older cut is dropped, unless the clock was set back', async () => {
  const cuts: number[] = [];
  const record = new SubscriptionRecord('s', 'plant1.>', { align: 100, onCut: ({ at }) => cuts.push(at) });
  const startMs = 1_700_000_000_000;
  const backMs = startMs - 3_600_000;
  for (const at of [startMs, startMs - 100, startMs - 10_000, startMs, backMs, backMs, backMs + 100]) {
    record.cut({ view: 1, at, reports: [], late: [], missing: [] }, []);
  }
  assert.deepEqual(cuts, [startMs, backMs, backMs + 100]);
});

test('each change of presence is reported once, and a report makes a device online', async () => {
  const seen: string[] = [];
  const { server } = await setUp({ onPresence: ({ device, state }: Presence) => seen.push(`${device} ${state}`) });
  server.online('plant1.a');
  server.stale('plant1.a');
  server.stale('plant1.a');
  server.stale('plant2.a');
  server.online('plant1.a');
  server.offline('plant1.b');
  await server.clock.advance(5);
  server.drop();
  server.publish('plant1.b', { n: 1 });
  await server.clock.advance(0);
  assert.deepEqual(seen, ['plant1.a stale', 'plant1.a online', 'plant1.b offline', 'plant1.b online']);
});

test('a server that does not receive partitions is the state `interrupted`', async () => {
  const { server, states, subscription } = await setUp();
  server.interrupt('plant1.>');
  await server.settled();
  assert.equal(subscription.state.name, 'interrupted');
  server.restore();
  await server.settled();
  server.interrupt();
  server.drop();
  await server.clock.advance(0);
  assert.deepEqual(states, ['live', 'interrupted', 'live', 'interrupted', 'waiting', 'live']);
});

test('notices from the operators are received', async () => {
  const { server, stream } = await setUp();
  const notices: string[] = [];
  stream.onNotice(({ severity, message }) => notices.push(`${severity}: ${message}`));
  server.notice('warning', 'maintenance at noon');
  await server.settled();
  assert.deepEqual(notices, ['warning: maintenance at noon']);
});

test('history comes first, then live reports', async () => {
  const server = createTestServer();
  const at: number[] = [];
  for (let n = 0; n < 3; n++) {
    at.push(server.clock.now());
    server.publish('plant1.a', { n });
    await server.clock.advance(1000);
  }
  const stream = server.stream();
  const got: number[] = [];
  const states: string[] = [];
  stream.subscribe('plant1.a', {
    from: at[1]!,
    speed: 60,
    onReports: (reports) => got.push(...reports.map(({ seq }) => seq)),
    onState: ({ name }) => states.push(name),
  });
  await server.settled();
  server.publish('plant1.a', { n: 3 });
  await server.settled();
  assert.deepEqual(got, [1, 2, 3]);
  assert.deepEqual(states, ['replaying', 'live']);
});

test('an interrupted paced replay resumes from the time of its last report', async () => {
  const { WebSocket, last } = fakeSockets();
  const server = createTestServer();
  const stream = createStream({ url: 'ws://n', WebSocket, clock: server.clock, random: () => 0 });
  stream.subscribe('plant1.a', { from: 500, speed: 60 });
  last().welcome();
  last().subscribed('plant1.a');
  last().deliver({ data: { view: 1, replay: true, reports: [{ ...delivery(7), received: 900 }] } });
  last().end(1006);
  await server.clock.advance(0);
  last().welcome();
  assert.deepEqual(last().sentOf('subscribe'), [
    { subscribe: { id: 's1', channel: 'plant1.a', from: 900, speed: 60 } },
  ]);
});

test('a skipped range of a whole partition moves the position; skipped ranges of single devices do not', () => {
  const { WebSocket, last } = fakeSockets();
  const stream = createStream({ url: 'ws://n', WebSocket, clock: createTestServer().clock });
  const skips: string[] = [];
  const subscription = stream.subscribe('plant1.>', {
    onSkipped: (skipped) => skips.push(...skipped.map(({ reason, from, to }) => `${reason} ${from}-${to}`)),
  });
  last().welcome();
  const position = tokenFromPositions(createPositions('e1', [[0, 1]]));
  last().deliver({ subscribed: { id: 's1', view: 1, channel: 'plant1.>', epoch: 'e1', position, snapshot: 0 } });
  const reached = () => positionsFromToken(subscription.position).last(0);
  const skip = (device: string, to: number, reason: string) => ({
    partition: 0,
    device,
    from: 2,
    to,
    count: 0,
    reason,
  });
  last().deliver({ data: { view: 1, reports: [delivery(50)], skipped: [skip('plant1.line1.press1', 49, 'slow')] } });
  assert.equal(reached(), 1, 'another device may still be at 2');
  last().deliver({ data: { view: 1, reports: [], skipped: [skip('', 60, 'too_far')] } });
  assert.equal(reached(), 60);
  last().deliver({ data: { view: 1, reports: [delivery(70)], skipped: [skip('plant1.line1.press1', 69, 'rate')] } });
  assert.equal(reached(), 70);
  assert.deepEqual(skips, ['slow 2-49', 'too_far 2-60', 'rate 2-69']);
});

test('several URLs are used in rotation, and a URL function is called for every attempt', async () => {
  const urls: string[] = [];
  class Dead {
    constructor(url: string) {
      urls.push(new URL(url).host);
    }
    addEventListener(type: string, listener: (event: never) => void) {
      if (type === 'close') queueMicrotask(() => listener({ code: 1006, reason: '' } as never));
    }
    send() {}
    close() {}
  }
  const { clock } = createTestServer();
  const stream = createStream({ url: ['ws://a', 'ws://b', 'ws://c'], WebSocket: Dead, clock, random: () => 0.5 });
  await clock.advance(1000);
  stream.close();
  assert.deepEqual(urls.slice(0, 4), ['b', 'c', 'a', 'b']);
  urls.length = 0;
  let calls = 0;
  const resolved = createStream({ url: () => `ws://n${++calls}`, WebSocket: Dead, clock, random: () => 0.5 });
  await clock.advance(500);
  resolved.close();
  assert.deepEqual(urls.slice(0, 2), ['n1', 'n2']);
  assert.throws(() => createStream({ url: [], WebSocket: Dead, clock }), { code: 'invalid_config' });
});

test('an exception in a listener does not affect the others', (t) => {
  const { WebSocket, last } = fakeSockets();
  const stream = createStream({ url: 'ws://n', WebSocket, clock: createTestServer().clock });
  const got: number[] = [];
  stream.subscribe('plant1.>', {
    onReports: () => {
      throw new RangeError('mine');
    },
  });
  stream.subscribe('plant1.>', { onReports: (reports) => got.push(reports.length) });
  last().welcome();
  for (const id of ['s1', 's2'])
    last().deliver({ subscribed: { id, view: 1, channel: 'plant1.>', epoch: 'e1', position: '', snapshot: 0 } });
  const later: (() => void)[] = [];
  t.mock.method(globalThis, 'queueMicrotask', (call: () => void) => later.push(call));
  last().data(1, [1]);
  assert.deepEqual(got, [1]);
  assert.equal(later.length, 1);
  assert.throws(later[0]!, { message: 'mine' });
});

test('a new reply after `interrupted` makes a subscription live, since the server sends `interrupted` again', () => {
  const { WebSocket, last } = fakeSockets();
  const stream = createStream({ url: 'ws://a', WebSocket, clock: createTestServer().clock, random: () => 0 });
  const subscription = stream.subscribe('p.a');
  const state = (): string => subscription.state.name;
  const answer = () => last().subscribed('p.a');
  last().welcome();
  answer();
  last().deliver({ interrupted: { view: 1, since: 1, partitions: [0] } });
  assert.equal(state(), 'interrupted');
  answer();
  assert.equal(state(), 'live');
  stream.close();
});
