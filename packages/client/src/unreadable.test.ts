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
    const asked = last().sentOf('subscribe').at(-1) as { subscribe: { id: string; after?: string } };
    const position = asked.subscribe.after ?? tokenFromPositions(createPositions('e1', [[0, 0]]));
    last().says({
      subscribed: { id: asked.subscribe.id, view: 1, channel: 'plant1.>', epoch: 'e1', position, snapshot: 0 },
    });
    return asked.subscribe.after;
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

test('one delivery that cannot be read is left out, named, and not asked for again; the connection stays', async () => {
  const { clock, sockets, last, stream, subscription, errors, reports, skipped, accept } = setUp();
  last().saysText(JSON.stringify({ data: { view: 1, reports: [delivery(1), bad(2), delivery(3)] } }));
  last().saysText(JSON.stringify({ data: { view: 1, reports: [bad(4)] } }));
  assert.equal(stream.state.name, 'live');
  assert.deepEqual(seqsOf(reports), [1, 3]);
  const named = (seq: number) => ({ partition: 0, device, from: seq, to: seq, count: 1, reason: 'unreadable' });
  assert.deepEqual(skipped, [named(2), named(4)]);
  assert.deepEqual(
    errors.map(({ code, message }) => [code, message]),
    Array.from({ length: 2 }, () => ['invalid_report', 'delivery: expected a valid value, got null']),
  );
  assert.equal(lastSeen(subscription.position), 4);
  // It does not come again after a reconnect.
  last().end(1006);
  await clock.advance(1000);
  assert.equal(sockets.length, 2);
  assert.equal(lastSeen(accept()), 4);
});

test('the empty record of a foreign producer, delivered for ever, costs no connection', async () => {
  const { clock, sockets, last, stream, reports } = setUp();
  for (let seq = 1; seq < 100; seq++) {
    last().saysText(
      JSON.stringify({ data: { view: 1, reports: [{ device: '', time: 0, readings: [], partition: 0, seq }] } }),
    );
    await clock.advance(100);
  }
  assert.deepEqual([sockets.length, stream.state.name, reports.length], [1, 'live', 0]);
});

test('a delivery that says neither who nor where is left out with an error', () => {
  const { last, stream, errors, skipped, reports } = setUp();
  for (const nonsense of [
    5,
    null,
    {},
    [],
    bad('x'),
    bad(-1),
    bad(1, { partition: 4096 }),
    bad(Number.MAX_SAFE_INTEGER),
  ])
    last().saysText(JSON.stringify({ data: { view: 1, reports: [nonsense, delivery(reports.length + 1)] } }));
  assert.equal(stream.state.name, 'live');
  assert.equal(errors.length, 8);
  assert.deepEqual(skipped, []);
  assert.deepEqual(seqsOf(reports), [1, 2, 3, 4, 5, 6, 7, 8]);
});

test('while a slow client is brought up to date by device, what cannot be read moves no position', () => {
  const { last, subscription } = setUp();
  const slow = { partition: 0, device: 'plant1.b', from: 1, to: 5, count: 5, reason: 'slow' };
  last().saysText(JSON.stringify({ data: { view: 1, reports: [bad(9)], skipped: [slow] } }));
  assert.equal(lastSeen(subscription.position), 0);
});

test('a range that the log cannot read moves the position, also in a frame of a slow client', () => {
  const { last, subscription, skipped } = setUp();
  const slow = { partition: 0, device: 'plant1.b', from: 1, to: 5, count: 5, reason: 'slow' };
  const range = { partition: 0, device: '', from: 6, to: 8, count: 0, reason: 'unreadable' };
  last().says({ data: { view: 1, reports: [delivery(12)], skipped: [slow, range] } });
  assert.equal(lastSeen(subscription.position), 8);
  assert.deepEqual(skipped, [slow, range]);
});

test('a range that the log cannot read of one device alone moves no position', () => {
  const { last, subscription } = setUp();
  const range = { partition: 0, device: 'plant1.b', from: 6, to: 8, count: 0, reason: 'unreadable' };
  last().says({ data: { view: 1, reports: [delivery(2)], skipped: [range] } });
  assert.equal(lastSeen(subscription.position), 2);
});

test('a delta after a range that the log cannot read is made whole as before', () => {
  const { last, reports } = setUp({ delta: true });
  const range = { partition: 0, device: '', from: 2, to: 8, count: 0, reason: 'unreadable' };
  const readings = [
    { tag: 'a', value: 1 },
    { tag: 'b', value: 1 },
  ];
  last().says({ data: { view: 1, reports: [{ ...delivery(1), readings }] } });
  last().says({ data: { view: 1, reports: [], skipped: [range] } });
  last().says({ data: { view: 1, reports: [{ ...delivery(9), readings: [{ tag: 'a', value: 2 }], delta: true }] } });
  assert.deepEqual(reports.at(-1)?.readings, [
    { tag: 'a', value: 2 },
    { tag: 'b', value: 1 },
  ]);
});

test('a delivery of a cut that cannot be read is named once, when its cut is handed over', () => {
  const events: unknown[] = [];
  const { last, errors } = setUp({
    align: 1000,
    onSkipped: (entries) => events.push(entries.map(({ from, reason }) => [from, reason])),
    onCut: ({ at, reports }) => events.push([at, seqsOf(reports)]),
  });
  const page = (at: number, reports: object[], fields: object = {}) =>
    last().saysText(JSON.stringify({ cut: { view: 1, at, reports, ...fields } }));
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

test('a device of a delta subscription whose report cannot be read is not shown with old values', () => {
  const { last, reports } = setUp({ delta: true });
  const says = (...list: object[]) => last().saysText(JSON.stringify({ data: { view: 1, reports: list } }));
  const of = (seq: number, values: Record<string, number>, more: object = {}) => ({
    ...delivery(seq),
    readings: Object.entries(values).map(([tag, value]) => ({ tag, value })),
    ...more,
  });
  says(of(1, { a: 1, b: 1 }));
  says(bad(2, { delta: true }));
  says(of(3, { a: 3 }, { delta: true }));
  assert.deepEqual(reports.at(-1), of(3, { a: 3 }, { delta: true }));
  says(of(4, { a: 4, b: 4 }));
  says(of(5, { a: 5 }, { delta: true }));
  assert.deepEqual(reports.at(-1), of(5, { a: 5, b: 4 }));
});

test('a frame that cannot be read costs one connection; the same again after the reconnect is discarded', async () => {
  for (const nonsense of ['{"data":', '{"data":{"view":1,"reports":{}}}', '{"subscribed":5}', new ArrayBuffer(8)]) {
    const { clock, sockets, last, stream, errors, reports, accept } = setUp();
    last().data(1, [1]);
    last().saysText(nonsense);
    assert.equal(stream.state.name, 'waiting');
    await clock.advance(200);
    assert.equal(lastSeen(accept()), 1);
    for (let frame = 0; frame < 50; frame++) {
      last().saysText(nonsense);
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

test('a listener of the state, of notices or of errors that throws hinders nothing', async (t) => {
  const later: (() => void)[] = [];
  t.mock.method(globalThis, 'queueMicrotask', (call: () => void) => later.push(call));
  const { clock, last, stream, reports, accept } = setUp();
  const fail = () => {
    throw new RangeError('mine');
  };
  stream.onState(fail);
  stream.onNotice(fail);
  stream.onError(fail);
  last().says({ notice: { severity: 'info', message: 'm', time: 1 } });
  last().saysText(JSON.stringify({ data: { view: 1, reports: [bad(1), delivery(2)] } }));
  last().end(1006);
  await clock.advance(1000);
  accept();
  last().data(1, [3]);
  assert.deepEqual(seqsOf(reports), [2, 3]);
  // notice, error, waiting, connecting, live
  assert.equal(later.length, 5);
  for (const call of later) assert.throws(call, RangeError);
});
