import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { IdMemory, lookbackTimeMs, RecentIds, RepeatedPositions } from './recent-ids.ts';

const idWindowMs = 120_000;
const startMs = 1_700_000_010_000;

function memoryOf(idsMax = 1_000_000, now = () => startMs): IdMemory {
  return new IdMemory({ idWindowMs, idsMax }, now);
}

function idsOf(idsMax?: number): RecentIds {
  return new RecentIds(memoryOf(idsMax));
}

test('the first report of an ID is none, the same ID of another device is another one', () => {
  const ids = idsOf();
  assert.equal(ids.repeats('p.d', 'x', 5, startMs), false);
  assert.equal(ids.repeats('p.d', 'x', 6, startMs + 1), true);
  assert.equal(ids.repeats('p.e', 'x', 7, startMs + 1), false);
  assert.equal(ids.repeats('p.d', 'y', 8, startMs + 1), false);
});

test('an ID is known 21,000 reports later', () => {
  const ids = idsOf();
  ids.repeats('p.d', 'x', 0, startMs);
  for (let seq = 1; seq <= 21_000; seq++) assert.equal(ids.repeats('p.d', `${seq}`, seq, startMs + seq), false);
  assert.equal(ids.repeats('p.d', 'x', 21_001, startMs + 21_001), true);
});

test('within the window an ID always counts, after five quarters of it never, and a repetition counts as an earlier one', () => {
  for (let offsetMs = 0; offsetMs < idWindowMs; offsetMs += 7_001) {
    const at = startMs + offsetMs;
    const ids = new RecentIds(memoryOf(1_000, () => at + 10 * idWindowMs));
    ids.repeats('p.d', 'x', 0, at);
    ids.repeats('p.d', 'z', 1, at);
    assert.equal(ids.repeats('p.d', 'x', 2, at + idWindowMs), true);
    assert.equal(ids.repeats('p.d', 'z', 3, at + idWindowMs * 1.25), false);
    assert.equal(ids.repeats('p.d', 'x', 4, at + 2 * idWindowMs), true);
  }
});

test('a clock of this node that is hours behind or ahead has no effect, and the remembered IDs stay bounded', () => {
  for (const offsetMs of [-86_400_000, -600_000, 0, 600_000, 86_400_000]) {
    let timeMs = startMs;
    const memory = memoryOf(1_000, () => startMs + offsetMs);
    const ids = new RecentIds(memory);
    const decided: boolean[] = [];
    for (let seq = 0; seq < 2_000; seq++) {
      timeMs += idWindowMs / 8;
      // Each ID comes again after the window, and after one and a half.
      decided.push(
        ids.repeats('p.d', `${Math.floor(seq / 21)}-${[0, 8, 20].includes(seq % 21) ? 'x' : seq}`, seq, timeMs),
      );
    }
    const repeated = decided.flatMap((repeats, seq) => (repeats ? [seq % 21] : []));
    assert.deepEqual(new Set(repeated), new Set([8]), `${offsetMs} ms`);
    assert.ok(ids.size <= 2 * 256, `${ids.size} IDs`);
  }
});

test('a reader that starts in the middle decides as one that has read all, if its lookback is as long as it has to be', () => {
  const record = fc.record({ id: fc.constantFrom('a', 'b', 'c'), afterMs: fc.nat({ max: idWindowMs / 2 }) });
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 40 }), fc.nat(), (records, place) => {
      let timeMs = startMs;
      const log = records.map(({ id, afterMs }, seq) => {
        timeMs += afterMs;
        return { id, seq, timeMs };
      });
      const memory = memoryOf(1_000, () => timeMs);
      const all = new RecentIds(memory);
      const expected = log.map(({ id, seq, timeMs: at }) => all.repeats('p.d', id, seq, at));
      const from = place % log.length;
      const fromMs = lookbackTimeMs(log[from]!.timeMs, idWindowMs);
      const late = new RecentIds(memory);
      for (const { id, seq, timeMs: at } of log.slice(0, from)) {
        if (at >= fromMs) late.repeats('p.d', id, seq, at);
      }
      late.startAt(from);
      assert.equal(late.decidedFrom, from);
      const decided = log.slice(from).map(({ id, seq, timeMs: at }) => late.repeats('p.d', id, seq, at));
      assert.deepEqual(decided, expected.slice(from));
      // What was decided is remembered by position.
      assert.deepEqual(
        log.slice(from).map(({ seq }) => late.has(seq)),
        expected.slice(from),
      );
    }),
    { seed: 1 },
  );
});

test('what the lookback decided is decided as it was when it is read for the second time', () => {
  const ids = idsOf();
  ids.repeats('p.d', 'x', 5, startMs);
  ids.repeats('p.d', 'x', 6, startMs);
  ids.repeats('p.d', 'y', 7, startMs);
  ids.startAt(8);
  const again = [5, 6, 7].map((seq) => ids.repeats('p.d', seq === 7 ? 'y' : 'x', seq, startMs));
  assert.deepEqual(again, [false, true, false]);
});

test('times that go back, or far ahead of the clock, take nothing from the others', () => {
  const ids = idsOf();
  ids.repeats('p.d', 'x', 0, startMs);
  ids.repeats('p.d', 'future', 1, startMs + 1e12);
  ids.repeats('p.d', 'past', 2, 0);
  assert.equal(ids.repeats('p.d', 'x', 3, startMs), true);
  assert.equal(ids.repeats('p.d', 'past', 4, 1), true);
  assert.equal(ids.repeats('p.d', 'future', 5, startMs), true);
});

test('with future times in as many buckets as there may be, an ID that is repeated at once is found', () => {
  const ids = idsOf();
  for (let i = 1; i <= 300; i++) ids.repeats('p.d', `future ${i}`, i, startMs + i * idWindowMs);
  for (let seq = 301; seq < 400; seq++) {
    assert.equal(ids.repeats('p.d', `${seq >> 1}`, seq, startMs), seq % 2 === 1 && seq > 301);
  }
  assert.ok(ids.size < 400);
});

test('beyond idsMax the partition with most forgets its oldest, the others keep theirs, and how far back it remembers is known', () => {
  let nowMs = startMs;
  const memory = memoryOf(1_000, () => nowMs);
  const small = new RecentIds(memory);
  const large = new RecentIds(memory);
  small.repeats('p.d', 'x', 0, nowMs);
  for (let seq = 0; seq < 400; seq++) large.repeats('q.d', `${seq}`, seq, nowMs);
  nowMs += 31_000;
  assert.equal(memory.heldMs(), idWindowMs);
  for (let seq = 400; seq < 1_000; seq++) large.repeats('q.d', `${seq}`, seq, nowMs);
  assert.equal(memory.counts.forgotten, 1);
  assert.equal(memory.ids, 601);
  assert.ok(memory.heldMs() < 31_000, `${memory.heldMs()} ms`);
  assert.equal(small.repeats('p.d', 'x', 1, nowMs), true);
  assert.equal(large.repeats('q.d', '7', 1_000, nowMs), false);
  assert.equal(large.repeats('q.d', '999', 1_001, nowMs), true);
  nowMs += 10 * idWindowMs;
  assert.equal(memory.heldMs(), idWindowMs);
});

test('with a bound of 0 nothing is remembered', () => {
  const ids = idsOf(0);
  ids.repeats('p.d', 'x', 1, startMs);
  assert.equal(ids.repeats('p.d', 'x', 2, startMs), false);
  assert.equal(ids.size, 0);
});

test('detached IDs count once they are attached, and cleared ones no more', () => {
  const memory = memoryOf();
  const detached = memory.detached();
  detached.repeats('p.d', 'x', 0, startMs);
  assert.equal(memory.ids, 0);
  detached.attach();
  assert.equal(memory.ids, 1);
  assert.equal(detached.repeats('p.d', 'x', 1, startMs), true);
  detached.clear();
  assert.equal(memory.ids, 0);
  assert.equal(detached.has(1), true, 'decisions stay');
});

test('positions that were added are there, and no others, in any range', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat({ max: 5_000 }), { maxLength: 60 }),
      fc.nat({ max: 5_000 }),
      fc.nat({ max: 5_000 }),
      (seqs, from, until) => {
        const positions = new RepeatedPositions();
        const sorted = seqs.sort((a, b) => a - b);
        for (const seq of sorted) positions.add(seq);
        for (const seq of sorted) assert.ok(positions.has(seq));
        assert.equal(positions.has(from), sorted.includes(from));
        const expected = sorted.filter((seq) => seq >= from && seq < until);
        assert.deepEqual([...positions.in(from, until)], expected);
      },
    ),
    { seed: 1 },
  );
});

test('in a flood of repetitions the oldest are forgotten, and the first position that is known moves', () => {
  const positions = new RepeatedPositions();
  positions.startAt(10);
  for (let block = 0; block < 8_192; block++) positions.add(block * 1_024 + 7);
  assert.equal(positions.from, 10);
  const { bytes } = positions;
  for (let block = 8_192; block < 8_200; block++) positions.add(block * 1_024 + 7);
  assert.equal(positions.from, 8 * 1_024);
  assert.equal(positions.bytes, bytes);
  assert.ok(positions.has(8 * 1_024 + 7));
});
