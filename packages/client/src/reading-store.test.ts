import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Delivery, Reading } from '@tailrace/protocol/report';
import { type LatestReading, noReading, ReadingStore } from './reading-store.ts';
import { createTestServer } from './testing.ts';

/** Creates a store that watches plant1.a, on a test server. */
async function watched(t: TestContext) {
  const server = createTestServer();
  const stream = server.stream();
  t.after(() => stream.close());
  const store = new ReadingStore(stream);
  store.watch('plant1.a', () => {});
  await server.settled();
  return { server, stream, store };
}

test('a change of value, unit, quality or time alone is rendered, and an equal reading is the same object', async (t) => {
  const server = createTestServer();
  const stream = server.stream();
  t.after(() => stream.close());
  const store = new ReadingStore(stream);
  let notifications = 0;
  store.watch('plant1.a', () => notifications++);
  await server.settled();
  const readAfter = async (reading: Reading, time: number): Promise<LatestReading> => {
    server.publish('plant1.a', [reading], time);
    await server.settled();
    return store.read('plant1.a', 't');
  };

  const first = await readAfter({ tag: 't', value: 20 }, 5);
  assert.deepEqual(first, { value: 20, unit: undefined, quality: 'good', time: 5, stale: false });
  assert.equal(await readAfter({ tag: 't', value: 20 }, 5), first);
  const expected: { -readonly [K in keyof LatestReading]: LatestReading[K] } = { ...first };
  for (const [change, time] of [
    [{ unit: 'Cel' }, 5],
    [{ unit: '[degF]' }, 5],
    [{ quality: 'bad' }, 5],
    [{ time: 6 }, 5],
    [{ value: 21 }, 5],
  ] as const) {
    Object.assign(expected, change);
    const { value = 0, unit = '', quality = 'good', time: own = 0 } = expected;
    assert.deepEqual(await readAfter({ tag: 't', value, unit, quality, time: own }, time), expected);
  }
  assert.ok(notifications >= 6);
});

test('the latest reading is chosen by its own time, not by order', async (t) => {
  const { server, stream, store } = await watched(t);
  const readAfter = async (time: number, ...readings: Reading[]) => {
    server.publish('plant1.a', readings, time);
    await server.settled();
    return store.read('plant1.a', 't').value;
  };
  assert.equal(await readAfter(100, { tag: 't', value: 1 }), 1);
  assert.equal(await readAfter(50, { tag: 't', value: 2 }), 1, 'late');
  assert.equal(await readAfter(200, { tag: 't', value: 4, time: 190 }, { tag: 't', value: 3, time: 180 }), 4);
  // A later listener reads the same.
  const other = new ReadingStore(stream);
  other.watch('plant1.a', () => {});
  await server.settled();
  assert.equal(other.read('plant1.a', 't').value, 4);
});

test('a late report does not replace a newer reading, and one of a clock that is ahead lasts until the next', async (t) => {
  const { server, store } = await watched(t);
  const report = async (value: number, time: number, more: Partial<Delivery> = {}) => {
    const readings = [{ tag: 't', value }];
    const log = { device: 'plant1.a', partition: 0, seq: value, time, received: server.clock.now(), readings, ...more };
    server.send({ data: { view: 1, reports: [log] } });
    await server.settled();
    return store.read('plant1.a', 't').value;
  };
  const nowMs = server.clock.now();
  assert.equal(await report(1, nowMs), 1);
  assert.equal(await report(2, nowMs - 3_600_000), 1);
  assert.equal(await report(3, nowMs + 172_800_000, { clock: 'ahead' }), 3);
  assert.equal(await report(4, nowMs), 4);
  assert.equal(await report(5, nowMs, { historical: true }), 4);
});

test('for a device that invents tags the last 2,000 are remembered', async (t) => {
  const { server, store } = await watched(t);
  for (let i = 0; i < 25; i++) {
    const made = Array.from({ length: 100 }, (_, n) => ({ tag: `t${i * 100 + n}`, value: n }));
    server.publish('plant1.a', [{ tag: 'always', value: i }, ...made]);
    await server.settled();
  }
  assert.equal(store.read('plant1.a', 'always').value, 24);
  assert.equal(store.read('plant1.a', 't2499').value, 99);
  assert.equal(store.read('plant1.a', 't0'), noReading);
  const kept = Array.from({ length: 2_500 }, (_, n) => store.read('plant1.a', `t${n}`)).filter(
    (each) => each !== noReading,
  );
  assert.equal(kept.length, 1_999);
});
