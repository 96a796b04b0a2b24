import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { firstKept, firstWhere, type RecordFacts } from './retention.ts';

interface Case {
  readonly facts: readonly RecordFacts[];
  readonly ends: { readonly first: number; readonly next: number };
}

/** Records of a partition: some positions are missing, times never go back. */
const cases = fc
  .array(fc.record({ skip: fc.nat(3), later: fc.nat(20), bytes: fc.integer({ min: 1, max: 100 }) }), { maxLength: 60 })
  .map((steps): Case => {
    let [seq, timeMs, sumBytes] = [-1, 1_000, 0];
    const facts = steps.map(({ skip, later, bytes }) => {
      seq += 1 + skip;
      timeMs += later;
      sumBytes += bytes;
      return { seq, timeMs, bytes, sumBytes };
    });
    return { facts, ends: { first: facts[0]?.seq ?? 0, next: seq + 1 } };
  });

function probeOf({ facts }: Case) {
  return (seq: number) => facts.find((fact) => fact.seq >= seq);
}

const spec = { name: 't', partitions: 1, retentionMs: 100, retentionBytes: 500 };

test('the first record of a time is the one that looking at all of them finds', () => {
  fc.assert(
    fc.property(cases, fc.integer({ min: 900, max: 2_500 }), (given, timeMs) => {
      const found = firstWhere(given.ends, probeOf(given), (facts) => facts.timeMs >= timeMs);
      assert.equal(found, given.facts.find((facts) => facts.timeMs >= timeMs)?.seq ?? given.ends.next);
    }),
  );
});

test('what is kept is young enough and within the bytes, nothing more than needed goes, and the last record stays', () => {
  fc.assert(
    fc.property(cases, fc.integer({ min: 1_000, max: 3_000 }), (given, nowMs) => {
      const kept = firstKept(spec, given.ends, probeOf(given), nowMs);
      const last = given.facts[given.facts.length - 1];
      if (last === undefined) {
        assert.equal(kept, given.ends.first);
        return;
      }
      assert.ok(kept <= last.seq);
      const bytesFrom = (seq: number) =>
        given.facts.filter((facts) => facts.seq >= seq).reduce((sum, facts) => sum + facts.bytes, 0);
      const mayStay = (facts: RecordFacts) =>
        facts.timeMs >= nowMs - spec.retentionMs && bytesFrom(facts.seq) <= spec.retentionBytes;
      for (const facts of given.facts) assert.equal(facts.seq >= kept, mayStay(facts) || facts === last);
    }),
  );
});

test('a long partition is searched in few steps', () => {
  let probes = 0;
  const ends = { first: 1_000_000, next: 101_000_000 };
  const probe = (seq: number) => {
    probes++;
    return { seq, timeMs: seq, bytes: 1, sumBytes: seq };
  };
  assert.equal(
    firstWhere(ends, probe, (facts) => facts.timeMs >= 77_777_777),
    77_777_777,
  );
  assert.ok(probes < 35, `${probes} probes`);
});
