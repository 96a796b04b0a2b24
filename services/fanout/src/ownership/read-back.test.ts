import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogRecord } from '@tailrace/eventlog/event-log';
import { silentLogger } from '@tailrace/platform/logger';
import { createLocalNode } from '../../test/local-node.ts';
import { inBatches, record } from '../../test/records.ts';
import { ReadBack } from './read-back.ts';

/** A partition that is being taken over, of which so many records lie in the log; `batch` of them come at a time. */
function recovering(count: number, batch = 1_000) {
  const node = createLocalNode({ partitions: 1, owned: false });
  const partition = node.partitions[0]!;
  partition.gain(1, 0, count);
  const records = Array.from({ length: count }, (_, seq) => record('p.d', seq));
  const calls: number[] = [];
  const state = { turns: 0, onTurn: (): void => {}, broken: false };
  const readBack = new ReadBack({
    eventLog: {
      async *read(_topic, _partition, { from, until }): AsyncGenerator<readonly LogRecord[]> {
        if (state.broken) throw new Error('no log');
        yield* inBatches(records.slice(from, until), batch);
      },
    },
    topic: 't',
    logger: silentLogger,
    async turn() {
      state.turns++;
      state.onTurn();
    },
    onRecords(_partition, some) {
      calls.push(some.length);
      partition.accept(some);
    },
  });
  return { partition, calls, state, run: () => readBack.run(partition) };
}

test('a partition is read back a little in each turn, and served then', async () => {
  const { partition, calls, state, run } = recovering(3_100);
  await run();
  assert.equal(partition.role, 'owned');
  assert.equal(partition.next, 3_100);
  assert.ok(Math.max(...calls) <= 250);
  assert.equal(state.turns, calls.length - 1);
});

test('a partition that is lost meanwhile is not read on, nor one that has begun anew further back', async () => {
  const lost = recovering(3_100);
  lost.state.onTurn = () => lost.partition.role === 'recovering' && lost.partition.lose();
  await lost.run();
  assert.deepEqual(lost.calls, [250]);
  const anew = recovering(3_100);
  anew.state.onTurn = () => {
    if (anew.state.turns !== 3) return;
    anew.partition.lose();
    anew.partition.gain(2, 100, 3_100);
  };
  await anew.run();
  assert.equal(anew.partition.next, 100, 'nothing is passed over');
  assert.equal(anew.partition.role, 'recovering');
});

test('what cannot be read back is left to the group', async () => {
  const { partition, state, run } = recovering(10);
  state.broken = true;
  await run();
  assert.deepEqual([partition.role, partition.next], ['recovering', 0]);
});
