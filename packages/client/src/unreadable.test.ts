import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TailraceError } from '@tailrace/protocol/error';
import { createPositions, positionsFromToken, tokenFromPositions } from '@tailrace/protocol/position';
import type { Delivery } from '@tailrace/protocol/report';
import type { Skipped } from '@tailrace/protocol/skipped';
import { createFakeClock } from '@tailrace/testkit/fakeclock';
import { delivery, fakeSockets } from '../test/fakesocket.ts';
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
    onReports: (news) => reports.push(...news),
    onSkipped: (left) => skipped.push(...left),
    ...options,
  });
  const begin = () => {
    last().welcome();
    const asked = last().sentOf('subscribe').at(-1) as { subscribe: { id: string; after?: string } };
    const position = asked.subscribe.after ?? tokenFromPositions(createPositions('e1', [[0, 0]]));
    last().says({
      subscribed: { id: asked.subscribe.id, view: 1, channel: 'plant1.>', epoch: 'e1', position, snapshot: 0 },
    });
    return asked.subscribe.after;
  };
  begin();
  return { clock, sockets, last, stream, subscription, errors, reports, skipped, begin };
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
  const { clock, sockets, last, stream, subscription, errors, reports, skipped, begin } = setUp();
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
  // Whoever comes back does not get it again.
  last().end(1006);
  await clock.advance(1000);
  assert.equal(sockets.length, 2);
  assert.equal(lastSeen(begin()), 4);
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

test('a frame that cannot be read costs one connection; the same again after the reconnect is passed over', async () => {
  for (const nonsense of ['{"data":', '{"data":{"view":1,"reports":{}}}', '{"subscribed":5}', new ArrayBuffer(8)]) {
    const { clock, sockets, last, stream, errors, reports, begin } = setUp();
    last().data(1, [1]);
    last().saysText(nonsense);
    assert.equal(stream.state.name, 'waiting');
    await clock.advance(200);
    assert.equal(lastSeen(begin()), 1);
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
  const { clock, last, stream, reports, begin } = setUp();
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
  begin();
  last().data(1, [3]);
  assert.deepEqual(seqsOf(reports), [2, 3]);
  // notice, error, waiting, connecting, live
  assert.equal(later.length, 5);
  for (const call of later) assert.throws(call, RangeError);
});
