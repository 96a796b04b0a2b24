import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Quality, Reading } from '@tailrace/protocol/report';
import { encodeReport } from '@tailrace/protocol/report-proto';
import type { Skipped } from '@tailrace/protocol/skipped';
import { effectiveTime } from '@tailrace/protocol/source-time';
import fc from 'fast-check';
import { logReport } from '../../test/records.ts';
import { LogReport } from '../channels/log-report.ts';
import { type Conflated, Conflation, conflate } from './conflation.ts';

const nowMs = 1_700_000_000_000;

const reported = (device: string, seq: number, readings: readonly Reading[], partition = 0, time = nowMs) =>
  new LogReport(partition, seq, encodeReport({ device, time, readings }));

const seqs = ({ logReports }: Conflated<LogReport>) => logReports.map(({ seq }) => seq);

const many = fc
  .array(
    fc.record({
      device: fc.constantFrom('p.a', 'p.b', 'q.c'),
      time: fc.constantFrom(nowMs, nowMs, nowMs + 1, nowMs + 2),
      readings: fc.array(
        fc.record(
          {
            tag: fc.constantFrom('t', 'u', 'v'),
            value: fc.oneof(fc.integer({ min: -50, max: 50 }), fc.boolean(), fc.constantFrom('on', 'off')),
            quality: fc.constantFrom<Quality>('good', 'good', 'good', 'bad', 'uncertain'),
            time: fc.constantFrom(nowMs + 1, nowMs + 3),
          },
          { requiredKeys: ['tag', 'value'], noNullPrototype: true },
        ),
        { minLength: 1, maxLength: 4 },
      ),
    }),
    { maxLength: 40 },
  )
  .map((reports) =>
    reports.map(({ device, readings, time }, i) => reported(device, i * 2, readings, device === 'q.c' ? 1 : 0, time)),
  );

const qualityOf = ({ quality = 'good' }: Reading): Quality => quality;

/** Returns the readings of a device with their effective times, by position. */
function timed(logReports: readonly LogReport[]) {
  return logReports.flatMap(({ seq, report }) =>
    report.readings.map((reading) => ({ ...reading, seq, timeMs: effectiveTime(report, reading.time) })),
  );
}

/** Returns the positions of the reports in which a quality changes, by a full scan. */
function qualityChanges(logReports: readonly LogReport[]): number[] {
  const before = new Map<string, { readonly quality: Quality; readonly timeMs: number }>();
  return timed(logReports).flatMap(({ seq, timeMs, ...reading }) => {
    const known = before.get(reading.tag) ?? { quality: 'good', timeMs };
    if (timeMs >= known.timeMs) before.set(reading.tag, { quality: qualityOf(reading), timeMs });
    return qualityOf(reading) === known.quality ? [] : [seq];
  });
}

/** Returns the positions of the reports that have the last value of a tag. */
function lasts(logReports: readonly LogReport[]): number[] {
  const at = new Map<string, { readonly seq: number; readonly timeMs: number }>();
  for (const { tag, seq, timeMs } of timed(logReports)) {
    if (timeMs >= (at.get(tag)?.timeMs ?? timeMs)) at.set(tag, { seq, timeMs });
  }
  return [...at.values()].map(({ seq }) => seq);
}

function assertSummary(skipped: Skipped, logReports: readonly LogReport[]): void {
  const readings = timed(logReports);
  assert.deepEqual(new Set(skipped.tags?.map(({ tag }) => tag)), new Set(readings.map(({ tag }) => tag)));
  for (const { tag, count, ...numbers } of skipped.tags ?? []) {
    const own = readings.filter((reading) => reading.tag === tag);
    assert.equal(count, own.length);
    const ownNumbers = own.filter(({ value }) => typeof value === 'number').sort((a, b) => a.timeMs - b.timeMs);
    const values = ownNumbers.map(({ value }) => value as number);
    if (values.length === 0) assert.deepEqual(numbers, {});
    else {
      const [first, last] = [values[0], values.at(-1)];
      assert.deepEqual(numbers, { first, min: Math.min(...values), max: Math.max(...values), last });
    }
  }
}

test('the last values and all changes of quality are retained, and skipped reports are summarized', () => {
  fc.assert(
    fc.property(many, (logReports) => {
      const { logReports: retained, skipped } = conflate(logReports, 'slow');
      const order = retained.map(({ partition, seq }) => partition * 1_000 + seq);
      assert.deepEqual(
        order,
        order.toSorted((a, b) => a - b),
      );
      for (const device of ['p.a', 'p.b', 'q.c']) {
        const own = logReports.filter(({ report }) => report.device === device);
        const stays = new Set([...qualityChanges(own), ...lasts(own)]);
        const left = own.filter(({ seq }) => !stays.has(seq)).map(({ seq }) => seq);
        assert.deepEqual(
          retained.filter(({ report }) => report.device === device),
          own.filter(({ seq }) => stays.has(seq)),
        );
        const summaries = skipped.filter((each) => each.device === device);
        assert.equal(summaries.length, left.length === 0 ? 0 : 1);
        for (const each of summaries) {
          assert.deepEqual([each.from, each.to, each.count], [left[0], left.at(-1), left.length]);
          assert.deepEqual([each.partition, each.reason], [own[0]?.partition, 'slow']);
          assertSummary(each, own);
        }
      }
    }),
    { seed: 20_241_121 },
  );
});

test('several readings of a tag in one report all count, and a late report does not replace a newer one', () => {
  const collected = [5, 90, 7].map((value, i) => ({ tag: 't', value, time: nowMs + i }));
  const logReports = [
    reported('p.a', 1, collected, 0, nowMs + 9),
    reported('p.a', 2, [{ tag: 't', value: 8 }], 0, nowMs + 20),
    reported('p.a', 3, [{ tag: 't', value: -4 }], 0, nowMs - 3_600_000),
  ];
  const conflated = conflate(logReports, 'rate');
  assert.deepEqual(seqs(conflated), [2]);
  assert.deepEqual(conflated.skipped[0]?.tags, [{ tag: 't', count: 5, first: -4, min: -4, max: 90, last: 8 }]);
  assert.deepEqual([conflated.skipped[0]?.from, conflated.skipped[0]?.to, conflated.skipped[0]?.count], [1, 3, 2]);
});

test('a historical report is skipped and summarized, also as the last one and with another quality', () => {
  const readings: readonly Reading[] = [{ tag: 't', value: 5, quality: 'bad' }];
  const bytes = encodeReport({ device: 'p.a', time: nowMs + 9, readings, historical: true });
  const conflated = conflate([reported('p.a', 1, [{ tag: 't', value: 1 }]), new LogReport(0, 2, bytes)], 'rate');
  assert.deepEqual(seqs(conflated), [1]);
  assert.deepEqual([conflated.skipped[0]!.from, conflated.skipped[0]!.count], [2, 1]);
});

test('tags that are not good are remembered up to a limit, however many a device invents', () => {
  const conflation = new Conflation<LogReport>();
  const bad = Array.from({ length: Conflation.notGoodTagsMax + 1 }, (_, n) => ({
    tag: `t${n}`,
    value: 1,
    quality: 'bad' as const,
  }));
  conflation.add(reported('p.a', 1, bad));
  conflation.take('rate');
  const backToGood = (tag: string, seq: number) => {
    for (const at of [seq, seq + 1]) conflation.add(reported('p.a', at, [{ tag, value: 1 }]));
    return seqs(conflation.take('rate'));
  };
  assert.deepEqual(backToGood('t0', 2_000), [2_000, 2_001]);
  assert.deepEqual(
    backToGood(`t${Conflation.notGoodTagsMax}`, 3_000),
    [3_001],
    'beyond the limit the return to good is no change',
  );
});

test('a device with one report, or whose reports each have another tag, has nothing skipped', () => {
  const logReports = [logReport('p.a', 1, { t: 1 }), logReport('p.b', 2, { t: 1 }), logReport('p.b', 3, { u: 2 })];
  assert.deepEqual(conflate(logReports, 'rate'), { logReports, skipped: [] });
  assert.deepEqual(conflate([], 'rate'), { logReports: [], skipped: [] });
});

test('many reports of a device become its last one and their summary', () => {
  const conflated = conflate(
    [20, 90, 21].map((temperature, i) => logReport('p.a', i + 1, { temperature }, 3)),
    'rate',
  );
  assert.deepEqual(seqs(conflated), [3]);
  const tags = [{ tag: 'temperature', count: 3, first: 20, min: 20, max: 90, last: 21 }];
  assert.deepEqual(conflated.skipped, [
    { partition: 3, device: 'p.a', from: 1, to: 2, count: 2, reason: 'rate', tags },
  ]);
});

test('what was taken is not returned again, and the return to good is a change also in the next batch', () => {
  const conflation = new Conflation<LogReport>();
  const t = (value: number, quality?: Quality): Reading[] => [{ tag: 't', value, ...(quality ? { quality } : {}) }];
  conflation.add(reported('p.a', 1, t(1)));
  conflation.add(reported('p.a', 2, t(2, 'bad')));
  conflation.add(reported('p.a', 3, t(3, 'bad')));
  assert.deepEqual(seqs(conflation.take('rate')), [2, 3]);
  assert.deepEqual([conflation.isEmpty, conflation.bytes], [true, 0]);
  // A batch without the tag in between does not clear it.
  conflation.add(reported('p.a', 4, [{ tag: 'u', value: 1 }]));
  conflation.take('rate');
  conflation.add(reported('p.a', 5, t(4)));
  conflation.add(reported('p.a', 6, t(5)));
  assert.deepEqual(seqs(conflation.take('rate')), [5, 6]);
  conflation.add(reported('p.a', 7, t(6)));
  conflation.add(reported('p.a', 8, t(7)));
  const last = conflation.take('rate');
  assert.deepEqual(seqs(last), [8]);
  assert.deepEqual(last.skipped[0]?.tags, [{ tag: 't', count: 2, first: 6, min: 6, max: 7, last: 7 }]);
});

test('its memory is bounded by the tags of a device, by reports and by bytes, and skipped reports are named', () => {
  const conflation = new Conflation<LogReport>();
  const one = logReport('p.a', 0, { t: 1 }).bytes.length;
  for (let seq = 0; seq < 5_000; seq++) conflation.add(logReport('p.a', seq, { t: 1 }));
  // Its last report and the summary of its one tag.
  assert.equal(conflation.bytes, one + 64);
  // A quality that changes all the time.
  for (let seq = 5_000; seq < 7_000; seq++) {
    conflation.add(reported('p.a', seq, [{ tag: 't', value: 1, quality: seq % 2 ? 'bad' : 'uncertain' }]));
  }
  const { logReports, skipped } = conflation.take('slow');
  assert.equal(logReports.length, Conflation.reportsMax);
  assert.deepEqual([skipped[0]?.from, skipped[0]?.to, skipped[0]?.count], [0, 5_999, 6_000]);
  // Reports that each bring a new tag with much text.
  for (let seq = 0; seq < 500; seq++) conflation.add(logReport('p.b', seq, { [`t${seq}`]: 'x'.repeat(4_000) }));
  assert.ok(conflation.bytes <= Conflation.bytesMax);
  const large = conflation.take('slow');
  assert.equal(large.logReports.length + (large.skipped[0]?.count ?? 0), 500);
  assert.equal(large.logReports.at(-1)?.seq, 499);
});
