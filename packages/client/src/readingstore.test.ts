import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Reading } from '@tailrace/protocol/report';
import { ReadingStore, type ShownReading } from './readingstore.ts';
import { createTestServer } from './testing.ts';

test('whatever changes of a reading is shown, each alone: value, unit, quality, time; what is the same is the same object', async (t) => {
  const server = createTestServer();
  const stream = server.stream();
  t.after(() => stream.close());
  const store = new ReadingStore(stream);
  let told = 0;
  store.watch('plant1.a', () => told++);
  await server.settled();
  const shownAfter = async (reading: Reading, time: number): Promise<ShownReading> => {
    server.publish('plant1.a', [reading], time);
    await server.settled();
    return store.read('plant1.a', 't');
  };

  const first = await shownAfter({ tag: 't', value: 20 }, 5);
  assert.deepEqual(first, { value: 20, unit: undefined, quality: 'good', time: 5, stale: false });
  assert.equal(await shownAfter({ tag: 't', value: 20 }, 5), first);
  const expected: { -readonly [K in keyof ShownReading]: ShownReading[K] } = { ...first };
  for (const [change, time] of [
    [{ unit: 'Cel' }, 5],
    [{ unit: '[degF]' }, 5],
    [{ quality: 'bad' }, 5],
    [{ time: 6 }, 5],
    [{ value: 21 }, 5],
  ] as const) {
    Object.assign(expected, change);
    const { value = 0, unit = '', quality = 'good', time: own = 0 } = expected;
    assert.deepEqual(await shownAfter({ tag: 't', value, unit, quality, time: own }, time), expected);
  }
  assert.ok(told >= 6);
});
