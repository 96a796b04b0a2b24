import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { firstRetained, firstWhere, type RecordSummary } from './retention.ts';

interface Case {
  readonly facts: readonly RecordSummary[];
  readonly bounds: { readonly first: number; readonly next: number };
}

/** Records of a partition: some positions are missing, times do not decrease. */
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
    return { facts, bounds: { first: facts[0]?.seq ?? 0, next: seq + 1 } };
  });

function probeOf({ facts }: Case) {
  return (seq: number) => facts.find((fact) => fact.seq >= seq);
}

const spec = { name: 't', partitions: 1, retentionMs: 100, retentionBytes: 500 };

test('bisection finds the same first record of a time as a scan', () => {
  fc.assert(
    fc.property(cases, fc.integer({ min: 900, max: 2_500 }), (given, timeMs) => {
      const found = firstWhere(given.bounds, probeOf(given), (facts) => facts.timeMs >= timeMs);
      assert.equal(found, given.facts.find((facts) => facts.timeMs >= timeMs)?.seq ?? given.bounds.next);
    }),
  );
});

test('retention deletes exactly the records that are too old or beyond the bytes, and not the last one', () => {
  fc.assert(
    fc.property(cases, fc.integer({ min: 1_000, max: 3_000 }), (given, nowMs) => {
      const retained = firstRetained(spec, given.bounds, probeOf(given), nowMs);
      const last = given.facts[given.facts.length - 1];
      if (last === undefined) {
        assert.equal(retained, given.bounds.first);
        return;
      }
      assert.ok(retained <= last.seq);
      const bytesFrom = (seq: number) =>
        given.facts.filter((facts) => facts.seq >= seq).reduce((sum, facts) => sum + facts.bytes, 0);
      const mayStay = (facts: RecordSummary) =>
        facts.timeMs >= nowMs - spec.retentionMs && bytesFrom(facts.seq) <= spec.retentionBytes;
      for (const facts of given.facts) assert.equal(facts.seq >= retained, mayStay(facts) || facts === last);
    }),
  );
});

test('a long partition is searched in few steps', () => {
  let probes = 0;
  const bounds = { first: 1_000_000, next: 101_000_000 };
  const probe = (seq: number) => {
    probes++;
    return { seq, timeMs: seq, bytes: 1, sumBytes: seq };
  };
  assert.equal(
    firstWhere(bounds, probe, (facts) => facts.timeMs >= 77_777_777),
    77_777_777,
  );
  assert.ok(probes < 35, `${probes} probes`);
});
