import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventLog, LogRecord } from '@tailrace/eventlog/event-log';
import { silentLogger } from '@tailrace/platform/logger';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { createLocalNode } from '../../test/local-node.ts';
import { inBatches, record } from '../../test/records.ts';
import { PartitionReader } from './partition-reader.ts';

test('however many partitions are read back at once, little is processed in one turn of the event loop', async () => {
  const clock = createFakeClock();
  const partitions = 20;
  const records = Array.from({ length: 1_000 }, (_, seq) => record('p.d', seq));
  let turns = 0;
  let read = 0;
  const perTurn: number[] = [];
  const reader = new PartitionReader({
    eventLog: {
      async *read() {
        yield* inBatches(records, 1_000);
      },
    },
    topic: 't',
    partitions: [],
    clock,
    logger: silentLogger,
    defer: (call) => {
      turns++;
      clock.after(1, () => {
        perTurn.push(read);
        read = 0;
        call();
      });
    },
    flushMs: 0,
    onRecords() {},
  });
  const done = Array.from({ length: partitions }, async (_, partition) => {
    let seq = 0;
    for await (const some of reader.range(partition, { from: 0 })) {
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
  // In the first turn what each starts with.
  assert.equal(perTurn[0], partitions * 250);
  assert.ok(Math.max(...perTurn.slice(1)) <= 1_000, `${perTurn}`);
  assert.equal(turns, 15);
});

/** A partition that is being taken over, of which so many records lie in the log; `batch` of them come at a time. */
function recovering(count: number, batch = 1_000) {
  const node = createLocalNode({ partitions: 1, owned: false });
  const partition = node.partitions[0]!;
  partition.gain(1, 0, count);
  const records = Array.from({ length: count }, (_, seq) => record('p.d', seq));
  const calls: number[] = [];
  const state = { turns: 0, onTurn: (): void => {}, broken: false };
  const reader = new PartitionReader({
    eventLog: {
      async *read(_topic, _partition, { from, until }): AsyncGenerator<readonly LogRecord[]> {
        if (state.broken) throw new Error('no log');
        yield* inBatches(records.slice(from, until), batch);
      },
    },
    topic: 't',
    partitions: [partition],
    clock: node.clock,
    logger: silentLogger,
    defer(call) {
      state.turns++;
      state.onTurn();
      call();
    },
    flushMs: 0,
    onRecords(_partition, some) {
      calls.push(some.length);
      partition.accept(some);
    },
  });
  return { partition, calls, state, run: () => reader.readBack(partition) };
}

test('a partition is read back a little in each turn, and served then', async () => {
  const { partition, calls, state, run } = recovering(3_100);
  await run();
  assert.equal(partition.role, 'owned');
  assert.equal(partition.next, 3_100);
  assert.ok(Math.max(...calls) <= 250);
  assert.equal(state.turns, calls.length - 1);
});

test('a partition that is lost meanwhile is not read on, nor one that was gained again from further back', async () => {
  const lost = recovering(3_100);
  lost.state.onTurn = () => lost.partition.role === 'recovering' && lost.partition.lose();
  await lost.run();
  assert.deepEqual(lost.calls, [250]);
  const again = recovering(3_100);
  again.state.onTurn = () => {
    if (again.state.turns !== 3) return;
    again.partition.lose();
    again.partition.gain(2, 100, 3_100);
  };
  await again.run();
  assert.equal(again.partition.next, 100, 'nothing is skipped');
  assert.equal(again.partition.role, 'recovering');
});

test('partitions that cannot be read back are left to the group', async () => {
  const { partition, state, run } = recovering(10);
  state.broken = true;
  await run();
  assert.deepEqual([partition.role, partition.next], ['recovering', 0]);
});

function following(flushMs = 0) {
  const clock = createFakeClock();
  const log: LogRecord[] = [];
  const seen: number[] = [];
  const errors: unknown[] = [];
  const state = { next: 0, reads: 0, broken: false };
  const read: EventLog['read'] = async function* (_topic, _partition, { from }) {
    state.reads++;
    if (state.broken) throw new Error('no log');
    const rest = log.slice(from);
    for (let at = 0; at < rest.length; at += 2) yield rest.slice(at, at + 2);
  };
  const reader = new PartitionReader({
    eventLog: { read },
    topic: 't',
    partitions: Array.from({ length: 200 }, () => state),
    clock,
    logger: { warn: (facts) => void errors.push(facts) },
    defer: (call) => void clock.after(0, call),
    flushMs,
    onRecords: (_partition, records) => {
      for (const { seq } of records) seen.push(seq);
      state.next = records.at(-1)!.seq + 1;
    },
  });
  const append = (count: number) => {
    for (let i = 0; i < count; i++) log.push(record('p.d', log.length));
  };
  return { clock, reader, seen, errors, state, append };
}

test('of a followed partition every record from its position on is delivered once and in order, until it is stopped', async () => {
  const { clock, reader, seen, append } = following();
  append(5);
  reader.follow(0);
  reader.follow(0);
  await clock.advance(10);
  assert.deepEqual(seen, [0, 1, 2, 3, 4]);
  append(3);
  await clock.advance(reader.pollMs);
  assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7]);
  reader.stop(0);
  append(1);
  await clock.advance(1_000);
  assert.equal(seen.length, 8);
  reader.follow(0);
  await clock.advance(0);
  assert.equal(seen.length, 9);
});

test('a follower that is stopped while it reads delivers nothing more, though the partition is followed again', async () => {
  const { clock, reader, seen, append } = following();
  append(4);
  reader.follow(0);
  reader.stop(0);
  reader.follow(0);
  await clock.advance(10);
  assert.deepEqual(seen, [0, 1, 2, 3]);
});

test('a read that fails is logged, and tried again', async () => {
  const { clock, reader, seen, errors, state, append } = following();
  append(1);
  state.broken = true;
  reader.follow(0);
  await clock.advance(1_200);
  assert.ok(errors.length >= 2 && errors.length <= 4, `${errors.length}`);
  state.broken = false;
  await clock.advance(600);
  assert.deepEqual(seen, [0]);
});

test('the more partitions are followed, the less often each, so that a broker has a bounded number of requests', async () => {
  const { clock, reader, state } = following();
  reader.follow(0);
  assert.equal(reader.pollMs, 25);
  for (let partition = 1; partition < 200; partition++) reader.follow(partition);
  await clock.advance(1_000);
  const before = state.reads;
  await clock.advance(10_000);
  assert.ok(state.reads - before <= 4_000, `${state.reads - before} reads in 10 s`);
});
