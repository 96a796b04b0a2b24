import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPositions } from '@tailrace/protocol/position';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { Channel } from '../channels/channels.ts';
import { PositionWaits } from './position-waits.ts';

const deadlineMs = 60_000;
const far = 2 ** 53 - 2;

function waiting() {
  const clock = createFakeClock();
  const nexts = [0, 0];
  const counts = { asked: 0 };
  const next = (_channel: Channel, partition: number) => {
    counts.asked++;
    return nexts[partition]!;
  };
  const waits = new PositionWaits({ next, clock, deadlineMs });
  return { clock, nexts, counts, waits };
}

const at = (...lasts: number[]) =>
  createPositions(
    'e',
    lasts.map((last, partition) => [partition, last] as const),
  );

test('thousands that wait for a position ahead share one timer, and a channel is checked once for all of them', async () => {
  const { clock, counts, waits } = waiting();
  const channel = new Channel('p.d', [0]);
  const results = Array.from({ length: 6_000 }, () => waits.reach(channel, at(far)));
  assert.equal(clock.pending(), 1);
  counts.asked = 0;
  await clock.advance(1_000);
  assert.equal(clock.pending(), 1);
  assert.equal(waits.counts.runs, 100);
  assert.equal(counts.asked, 100);
  await clock.advance(deadlineMs);
  const expired = await Promise.all(results);
  assert.ok(expired.every((result) => result?.partition === 0 && result.last === far && result.next === 0));
  assert.equal(waits.size, 0);
  assert.equal(clock.pending(), 0);
});

test('of thousands of channels no more than 256 are checked at once, and each has its turn', async () => {
  const { clock, nexts, counts, waits } = waiting();
  const channels = Array.from({ length: 1_000 }, (_, i) => new Channel(`p.d${i}`, [0]));
  let reached = 0;
  for (const channel of channels) void waits.reach(channel, at(7)).then(() => reached++);
  counts.asked = 0;
  await clock.advance(10);
  assert.equal(counts.asked, 256);
  nexts[0] = 8;
  await clock.advance(10);
  assert.equal(reached, 256);
  await clock.advance(30);
  assert.equal(reached, 1_000);
  assert.equal(clock.pending(), 0);
});

test('each wait resolves as soon as its own position is reached, in all partitions of its channel', async () => {
  const { clock, nexts, waits } = waiting();
  const channel = new Channel('p.>', [0, 1]);
  const done: string[] = [];
  const wait = (name: string, lasts: readonly number[]) =>
    void waits.reach(channel, at(...lasts)).then((result) => done.push(`${name} ${JSON.stringify(result?.partition)}`));
  wait('both', [5, 5]);
  wait('later', [9, 0]);
  wait('first', [3, -1]);
  nexts[0] = 4;
  await clock.advance(10);
  assert.deepEqual(done, ['first undefined']);
  nexts[0] = 6;
  await clock.advance(10);
  nexts[1] = 6;
  await clock.advance(10);
  assert.deepEqual(done, ['first undefined', 'both undefined']);
  await clock.advance(deadlineMs);
  assert.deepEqual(done, ['first undefined', 'both undefined', 'later 0']);
  assert.equal(clock.pending(), 0);
});

test('a position that is reached already is not waited for', async () => {
  const { clock, nexts, waits } = waiting();
  nexts[0] = 4;
  assert.equal(await waits.reach(new Channel('p.d', [0]), at(3)), undefined);
  assert.equal(clock.pending(), 0);
});
