import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogRecord } from '@tailrace/eventlog/event-log';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { inBatches, record } from '../../test/records.ts';
import { inTurns, SharedTurns } from './in-turns.ts';

test('however many partitions are read back at once, little is worked through in one turn of the event loop', async () => {
  const clock = createFakeClock();
  const partitions = 20;
  const records = Array.from({ length: 1_000 }, (_, seq) => record('p.d', seq));
  let turnsTaken = 0;
  let read = 0;
  const perTurn: number[] = [];
  const turns = new SharedTurns((call) => {
    turnsTaken++;
    clock.after(1, () => {
      perTurn.push(read);
      read = 0;
      call();
    });
  });
  async function* batches(): AsyncGenerator<readonly LogRecord[]> {
    yield* inBatches(records, 1_000);
  }
  const done = Array.from({ length: partitions }, async () => {
    let seq = 0;
    for await (const some of inTurns(batches(), () => turns.take())) {
      assert.equal(some[0]!.seq, seq);
      seq += some.length;
      read += some.length;
    }
    return seq;
  });
  while (perTurn.length < 15) await clock.advance(1);
  await clock.advance(10);
  assert.deepEqual(
    await Promise.all(done),
    Array.from({ length: partitions }, () => 1_000),
  );
  // In the first turn what each begins with.
  assert.equal(perTurn[0], partitions * 250);
  assert.ok(Math.max(...perTurn.slice(1)) <= 1_000, `${perTurn}`);
  assert.equal(turnsTaken, 15);
});
