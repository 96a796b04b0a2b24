import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TailraceError } from '@tailrace/protocol/error';
import { createPositions, positionsFromToken, tokenFromPositions } from '@tailrace/protocol/position';
import type { Delivery } from '@tailrace/protocol/report';
import type { Skipped } from '@tailrace/protocol/skipped';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { delivery, fakeSockets } from '../test/fake-socket.ts';
import { createStream } from './stream.ts';
import type { SubscribeOptions } from './subscription.ts';

function setUp(options: SubscribeOptions = {}) {
  const clock = createFakeClock();
  const { WebSocket, sockets, last } = fakeSockets();
  const stream = createStream({ url: 'ws://tailrace', WebSocket, clock, random: () => 0.5 });
  const errors: TailraceError[] = [];
  stream.onError((error) => errors.push(error));
  const reports: Delivery[] = [];
  const skipped: Skipped[] = [];
  const subscription = stream.subscribe('plant1.>', {
    onReports: (received) => reports.push(...received),
    onSkipped: (entries) => skipped.push(...entries),
    ...options,
  });
  const accept = () => {
    last().welcome();
    const { subscribe } = last().sentOf('subscribe').at(-1) as { subscribe: { id: string; after?: string } };
    const position = subscribe.after ?? tokenFromPositions(createPositions('e1', [[0, 0]]));
    last().deliver({
      subscribed: { id: subscribe.id, view: 1, channel: 'plant1.>', epoch: 'e1', position, snapshot: 0 },
    });
    return subscribe.after;
  };
  accept();
  return { clock, sockets, last, stream, subscription, errors, reports, skipped, accept };
}

const device = 'plant1.line1.press1';
const bad = (seq: unknown, more: object = {}) => ({
  ...delivery(1),
  seq,
  readings: [{ tag: 't', value: null }],
  ...more,
});
const seqsOf = (reports: readonly Delivery[]) => reports.map(({ seq }) => seq);
const lastSeen = (token: string | undefined) => positionsFromToken(token ?? '').last(0);

test('an unreadable delivery is left out, reported, and not requested again; the connection stays', async () => {
  const { clock, sockets, last, stream, subscription, errors, reports, skipped, accept } = setUp();
  last().deliverRaw(JSON.stringify({ data: { view: 1, reports: [delivery(1), bad(2), delivery(3)] } }));
  last().deliverRaw(JSON.stringify({ data: { view: 1, reports: [bad(4)] } }));
  assert.equal(stream.state.name, 'live');
  assert.deepEqual(seqsOf(reports), [1, 3]);
  const named = (seq: number) => ({ partition: 0, device, from: seq, to: seq, count: 1, reason: 'unreadable' });
  assert.deepEqual(skipped, [named(2), named(4)]);
  assert.deepEqual(
    errors.map(({ code, message }) => [code, message]),
    Array.from({ length: 2 }, () => ['invalid_report', 'delivery: expected a valid value, got null']),
  );
  assert.equal(lastSeen(subscription.position), 4);
  // It is not requested again after a reconnect.
  last().end(1006);
  await clock.advance(1000);
  assert.equal(sockets.length, 2);
  assert.equal(lastSeen(accept()), 4);
});

test('empty records of another producer cost no connection', async () => {
  const { clock, sockets, last, stream, reports } = setUp();
  for (let seq = 1; seq < 100; seq++) {
    last().deliverRaw(
      JSON.stringify({ data: { view: 1, reports: [{ device: '', time: 0, readings: [], partition: 0, seq }] } }),
    );
    await clock.advance(100);
  }
  assert.deepEqual([sockets.length, stream.state.name, reports.length], [1, 'live', 0]);
});

test('a delivery without device and position is left out with an error', () => {
  const { last, stream, errors, skipped, reports } = setUp();
  for (const invalid of [5, null, {}, [], bad('x'), bad(-1), bad(1, { partition: 4096 }), bad(Number.MAX_SAFE_INTEGER)])
    last().deliverRaw(JSON.stringify({ data: { view: 1, reports: [invalid, delivery(reports.length + 1)] } }));
  assert.equal(stream.state.name, 'live');
  assert.equal(errors.length, 8);
  assert.deepEqual(skipped, []);
  assert.deepEqual(seqsOf(reports), [1, 2, 3, 4, 5, 6, 7, 8]);
});

test('while a slow client catches up by device, an unreadable delivery moves no position', () => {
  const { last, subscription } = setUp();
  const slow = { partition: 0, device: 'plant1.b', from: 1, to: 5, count: 5, reason: 'slow' };
  last().deliverRaw(JSON.stringify({ data: { view: 1, reports: [bad(9)], skipped: [slow] } }));
  assert.equal(lastSeen(subscription.position), 0);
});

test('an unreadable range of the log moves the position, also in a frame of a slow client', () => {
  const { last, subscription, skipped } = setUp();
  const slow = { partition: 0, device: 'plant1.b', from: 1, to: 5, count: 5, reason: 'slow' };
  const range = { partition: 0, device: '', from: 6, to: 8, count: 0, reason: 'unreadable' };
  last().deliver({ data: { view: 1, reports: [delivery(12)], skipped: [slow, range] } });
  assert.equal(lastSeen(subscription.position), 8);
  assert.deepEqual(skipped, [slow, range]);
});

test('an unreadable range of one device moves no position', () => {
  const { last, subscription } = setUp();
  const range = { partition: 0, device: 'plant1.b', from: 6, to: 8, count: 0, reason: 'unreadable' };
  last().deliver({ data: { view: 1, reports: [delivery(2)], skipped: [range] } });
  assert.equal(lastSeen(subscription.position), 2);
});

test('a delta after an unreadable range of the log is completed as before', () => {
  const { last, reports } = setUp({ delta: true });
  const range = { partition: 0, device: '', from: 2, to: 8, count: 0, reason: 'unreadable' };
  const readings = [
    { tag: 'a', value: 1 },
    { tag: 'b', value: 1 },
  ];
  last().deliver({ data: { view: 1, reports: [{ ...delivery(1), readings }] } });
  last().deliver({ data: { view: 1, reports: [], skipped: [range] } });
  last().deliver({ data: { view: 1, reports: [{ ...delivery(9), readings: [{ tag: 'a', value: 2 }], delta: true }] } });
  assert.deepEqual(reports.at(-1)?.readings, [
    { tag: 'a', value: 2 },
    { tag: 'b', value: 1 },
  ]);
});

test('an unreadable delivery of a cut is reported once, when its cut is delivered', () => {
  const events: unknown[] = [];
  const { last, errors } = setUp({
    align: 1000,
    onSkipped: (entries) => events.push(entries.map(({ from, reason }) => [from, reason])),
    onCut: ({ at, reports }) => events.push([at, seqsOf(reports)]),
  });
  const page = (at: number, reports: object[], fields: object = {}) =>
    last().deliverRaw(JSON.stringify({ cut: { view: 1, at, reports, ...fields } }));
  page(1000, [delivery(1), bad(2)]);
  page(1000, [delivery(1), bad(2)]);
  page(2000, [bad(3), delivery(4)], { more: true });
  assert.equal(events.length, 2);
  page(2000, [bad(5)], { page: 1, more: true });
  page(2000, [delivery(6)], { page: 2 });
  // Discarded, because its second frame is missing.
  page(3000, [bad(7)], { more: true });
  page(3000, [bad(8)], { page: 2 });
  page(4000, [delivery(9)]);
  assert.deepEqual(events, [
    [[2, 'unreadable']],
    [1000, [1]],
    [
      [3, 'unreadable'],
      [5, 'unreadable'],
    ],
    [2000, [4, 6]],
    [4000, [9]],
  ]);
  assert.equal(errors.length, 6);
});

test('a delta after an unreadable report of its device is not completed with outdated readings', () => {
  const { last, reports } = setUp({ delta: true });
  const deliver = (...list: object[]) => last().deliverRaw(JSON.stringify({ data: { view: 1, reports: list } }));
  const of = (seq: number, values: Record<string, number>, more: object = {}) => ({
    ...delivery(seq),
    readings: Object.entries(values).map(([tag, value]) => ({ tag, value })),
    ...more,
  });
  deliver(of(1, { a: 1, b: 1 }));
  deliver(bad(2, { delta: true }));
  deliver(of(3, { a: 3 }, { delta: true }));
  assert.deepEqual(reports.at(-1), of(3, { a: 3 }, { delta: true }));
  deliver(of(4, { a: 4, b: 4 }));
  deliver(of(5, { a: 5 }, { delta: true }));
  assert.deepEqual(reports.at(-1), of(5, { a: 5, b: 4 }));
});

test('an unreadable frame costs one connection; the same frame after the reconnect is discarded', async () => {
  for (const invalid of ['{"data":', '{"data":{"view":1,"reports":{}}}', '{"subscribed":5}', new ArrayBuffer(8)]) {
    const { clock, sockets, last, stream, errors, reports, accept } = setUp();
    last().data(1, [1]);
    last().deliverRaw(invalid);
    assert.equal(stream.state.name, 'waiting');
    await clock.advance(200);
    assert.equal(lastSeen(accept()), 1);
    for (let frame = 0; frame < 50; frame++) {
      last().deliverRaw(invalid);
      assert.equal(stream.state.name, 'live');
      await clock.advance(100);
    }
    assert.equal(sockets.length, 2);
    assert.equal(errors.length, 51);
    last().data(1, [2]);
    assert.deepEqual(seqsOf(reports), [1, 2]);
    stream.close();
  }
});

test('an exception in a listener of states, notices or errors affects nothing else', async (t) => {
  const later: (() => void)[] = [];
  t.mock.method(globalThis, 'queueMicrotask', (call: () => void) => later.push(call));
  const { clock, last, stream, reports, accept } = setUp();
  const fail = () => {
    throw new RangeError('mine');
  };
  stream.onState(fail);
  stream.onNotice(fail);
  stream.onError(fail);
  last().deliver({ notice: { severity: 'info', message: 'm', time: 1 } });
  last().deliverRaw(JSON.stringify({ data: { view: 1, reports: [bad(1), delivery(2)] } }));
  last().end(1006);
  await clock.advance(1000);
  accept();
  last().data(1, [3]);
  assert.deepEqual(seqsOf(reports), [2, 3]);
  // notice, error, waiting, connecting, live
  assert.equal(later.length, 5);
  for (const call of later) assert.throws(call, RangeError);
});
