import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventLog, LogRecord } from '@tailrace/eventlog/event-log';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { record } from '../../test/records.ts';
import { Tail } from './tail.ts';

function arrangement(flushMs = 0) {
  const clock = createFakeClock();
  const log: LogRecord[] = [];
  const seen: number[] = [];
  const faults: unknown[] = [];
  const state = { next: 0, reads: 0, broken: false };
  const read: EventLog['read'] = async function* (_topic, _partition, { from }) {
    state.reads++;
    if (state.broken) throw new Error('no log');
    const news = log.slice(from);
    for (let at = 0; at < news.length; at += 2) yield news.slice(at, at + 2);
  };
  const tail = new Tail({
    eventLog: { read },
    topic: 't',
    clock,
    turn: () => clock.sleep(0),
    flushMs,
    next: () => state.next,
    onRecords: (_partition, records) => {
      for (const { seq } of records) seen.push(seq);
      state.next = records.at(-1)!.seq + 1;
    },
    onFault: (_partition, error) => faults.push(error),
  });
  const append = (count: number) => {
    for (let i = 0; i < count; i++) log.push(record('p.d', log.length));
  };
  return { clock, tail, seen, faults, state, append };
}

test('everything from where the partition is comes once and in order, until it is stopped', async () => {
  const { clock, tail, seen, append } = arrangement();
  append(5);
  tail.start(0);
  tail.start(0);
  await clock.advance(10);
  assert.deepEqual(seen, [0, 1, 2, 3, 4]);
  append(3);
  await clock.advance(tail.pollMs);
  assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7]);
  tail.stop(0);
  append(1);
  await clock.advance(1_000);
  assert.equal(seen.length, 8);
  tail.start(0);
  await clock.advance(0);
  assert.equal(seen.length, 9);
});

test('one that is stopped while it reads hands over nothing more, though another reading of the partition has begun', async () => {
  const { clock, tail, seen, append } = arrangement();
  append(4);
  tail.start(0);
  tail.stop(0);
  tail.start(0);
  await clock.advance(10);
  assert.deepEqual(seen, [0, 1, 2, 3]);
});

test('a read that fails is told, and tried again', async () => {
  const { clock, tail, seen, faults, state, append } = arrangement();
  append(1);
  state.broken = true;
  tail.start(0);
  await clock.advance(1_200);
  assert.ok(faults.length >= 2 && faults.length <= 4, `${faults.length}`);
  state.broken = false;
  await clock.advance(600);
  assert.deepEqual(seen, [0]);
});

test('the more partitions it reads, the less often each, so that a broker has a bounded number of requests', async () => {
  const { clock, tail, state } = arrangement();
  tail.start(0);
  assert.equal(tail.pollMs, 25);
  for (let partition = 1; partition < 200; partition++) tail.start(partition);
  await clock.advance(1_000);
  const before = state.reads;
  await clock.advance(10_000);
  assert.ok(state.reads - before <= 4_000, `${state.reads - before} reads in 10 s`);
});
