import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Reading, Report } from '@tailrace/protocol/report';
import { effectiveTime } from '@tailrace/protocol/source-time';
import fc from 'fast-check';
import { deviceLimits } from '../../test/device-limits.ts';
import { logReport, logReportOf, type Values } from '../../test/records.ts';
import { Device, type KnownDeviceLimits, KnownDevices } from './device.ts';

const nowMs = 1_700_000_000_000;

function deviceIn(limits: Partial<KnownDeviceLimits> = {}) {
  const known = new KnownDevices({ ...deviceLimits, ...limits });
  const device = new Device('p.d', 0, known.admit('p.d'));
  let next = 0;
  return {
    known,
    device,
    /** Values by tag, all of one time. */
    values: (values: Values) => device.keep(logReport('p.d', next++, values), known),
    report: (report: Partial<Report>) => device.keep(logReportOf(report, next++), known),
    seqs: () => device.lastValues().map(({ seq }) => seq),
  };
}

function seqsAfter(...reports: readonly Values[]): number[] {
  const { values, seqs } = deviceIn();
  for (const each of reports) values(each);
  return seqs();
}

const tagsOf = (count: number, from = 0) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`t${from + i}`, i]));

/** Returns the last values of a client that is sent these reports. */
function lastOf(reports: readonly Report[]): Map<string, Reading['value']> {
  const last = new Map<string, { value: Reading['value']; timeMs: number }>();
  for (const report of reports) {
    for (const { tag, value, time } of report.readings) {
      const timeMs = effectiveTime(report, time);
      if (timeMs >= (last.get(tag)?.timeMs ?? timeMs)) last.set(tag, { value, timeMs });
    }
  }
  return new Map([...last].map(([tag, { value }]) => [tag, value]));
}

test('of a device that sends all its tags each time one report is kept', () => {
  assert.deepEqual(seqsAfter({ a: 1, b: 2 }, { a: 3, b: 4 }, { a: 5, b: 6 }), [2]);
  assert.deepEqual(seqsAfter(tagsOf(1_000), tagsOf(1_000), tagsOf(1_000)), [2]);
});

test('a report is kept until all its tags were sent again', () => {
  assert.deepEqual(seqsAfter({ a: 1, b: 2 }, { a: 3 }), [0, 1]);
  assert.deepEqual(seqsAfter({ a: 1, b: 2 }, { a: 3 }, { b: 4 }), [1, 2]);
  assert.deepEqual(seqsAfter({ a: 1 }, { b: 2 }, { c: 3 }, { a: 4, b: 5, c: 6 }), [3]);
  assert.deepEqual(seqsAfter(tagsOf(100), { t7: 1 }, { t8: 1 }, tagsOf(100)), [3]);
});

test('a report at or before the last position changes nothing', () => {
  const { device, known } = deviceIn();
  device.keep(logReport('p.d', 0, { a: 1 }), known);
  device.keep(logReport('p.d', 1, { a: 2 }), known);
  device.keep(logReport('p.d', 1, { a: 7 }), known);
  device.keep(logReport('p.d', 0, { b: 7 }), known);
  assert.deepEqual(
    device.lastValues().map(({ seq, report }) => [seq, report.readings]),
    [[1, [{ tag: 'a', value: 2 }]]],
  );
});

test('a late report does not replace a newer last value, but advances the last position', () => {
  const { device, known, report, seqs } = deviceIn();
  const readings = (value: number) => [{ tag: 'a', value }];
  report({ time: nowMs, readings: readings(1) });
  report({ time: nowMs - 3_600_000, readings: readings(2) });
  assert.deepEqual([seqs(), device.lastSeq, known.counts.late], [[0], 1, 1]);
  report({ time: nowMs, readings: readings(3) });
  assert.deepEqual(seqs(), [2], 'of equal times the later position wins');
  report({ time: nowMs - 5, readings: [...readings(4), { tag: 'b', value: 5 }] });
  assert.deepEqual(seqs(), [2, 3], 'it is kept for the tag that it alone has');
  report({ time: nowMs + 1, readings: readings(6) });
  assert.deepEqual(seqs(), [3, 4]);
});

test('a report of a clock that is ahead has the last value until the next report', () => {
  const { report, seqs } = deviceIn();
  const readings = [{ tag: 'a', value: 1 }];
  report({ time: nowMs + 2 * 86_400_000, received: nowMs, clock: 'ahead', readings });
  report({ time: nowMs + 10, received: nowMs + 20, readings });
  assert.deepEqual(seqs(), [1]);
  report({ time: nowMs + 2000 * 31_556_952_000, received: nowMs + 30, clock: 'ahead', readings });
  assert.deepEqual(seqs(), [2]);
  report({ time: nowMs + 40, received: nowMs + 40, clock: 'ingest', readings });
  assert.deepEqual(seqs(), [3]);
});

test('a historical report never has a last value, also of a tag without one, and advances the position', () => {
  const { device, known, report, seqs } = deviceIn();
  const historical = (tag: string) => report({ time: nowMs + 9, historical: true, readings: [{ tag, value: 1 }] });
  historical('a');
  assert.deepEqual(seqs(), []);
  report({ time: nowMs, readings: [{ tag: 'a', value: 2 }] });
  historical('a');
  historical('b');
  assert.deepEqual(seqs(), [1]);
  assert.equal(device.lastSeq, 3);
  assert.equal(known.counts.late, 3);
});

test('of several readings of a tag in one report the newest is the last value, whatever their order', () => {
  const { report, seqs } = deviceIn();
  const collected = [3, 1, 2].map((at) => ({ tag: 'a', value: at, time: nowMs + at }));
  report({ time: nowMs + 9, readings: collected });
  report({ time: nowMs + 9, readings: [{ tag: 'a', value: 9, time: nowMs + 2 }] });
  assert.deepEqual(seqs(), [0]);
  report({ time: nowMs + 9, readings: [{ tag: 'a', value: 9, time: nowMs + 3 }] });
  assert.deepEqual(seqs(), [2]);
});

test('of a device with more tags than the limit the one reported longest ago is evicted', () => {
  const { device, known, values, seqs } = deviceIn({ tagsPerDeviceMax: 1_000 });
  for (let n = 0; n < 1_000; n++) values({ [`t${n}`]: n });
  values({ t0: 7 });
  for (let n = 1_000; n < 1_010; n++) values({ [`t${n}`]: n });
  assert.equal(device.lastValues().length, 1_000);
  assert.equal(seqs()[0], 11);
  assert.ok(seqs().includes(1_000), 't0 was reported again');
  assert.deepEqual([known.counts.forgottenTags, known.counts.tagsMost], [10, 1_000]);
  const few = deviceIn({ tagsPerDeviceMax: 2 });
  for (const tag of ['a', 'b', 'c']) few.values({ [tag]: 1 });
  assert.deepEqual(few.seqs(), [1, 2]);
});

test('a device whose large reports each add one tag keeps no more bytes than the limit', () => {
  const { device, values } = deviceIn();
  const text = 'x'.repeat(4_000);
  for (let seq = 0; seq < 100; seq++) {
    // 50 tags, of which the next report brings 49 again.
    values(Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`t${seq + i}`, text])));
    const bytes = device.lastValues().reduce((sum, kept) => sum + kept.bytes.length, 0);
    assert.ok(bytes <= Device.bytesMax, `${bytes} bytes`);
  }
  assert.equal(device.lastValues().at(-1)?.seq, 99);
  assert.ok(device.lastValues().length > 1);
});

test('at the memory limit for last values a growing device loses its own oldest reports, and others nothing', () => {
  const known = new KnownDevices({ ...deviceLimits, lastValuesBytesMax: 60_000 });
  const [steady, growing] = ['p.steady', 'q.growing'].map((path) => new Device(path, 0, known.admit(path))) as [
    Device,
    Device,
  ];
  for (const tag of ['a', 'b', 'c']) steady.keep(logReport('p.steady', tag.charCodeAt(0), { [tag]: 1 }), known);
  for (let n = 0; n < 500; n++) growing.keep(logReport('q.growing', 1_000 + n, { [`t${n}`]: 'x'.repeat(200) }), known);
  assert.ok(known.bytes <= 61_000, `${known.bytes}`);
  assert.equal(steady.lastValues().length, 3);
  assert.equal(growing.lastValues().at(-1)?.seq, 1_499);
  assert.ok(growing.lastValues().length > 50);
  // It may replace what it has.
  steady.keep(logReport('p.steady', 2_000, { a: 2 }), known);
  assert.equal(steady.lastValues().length, 3);
});

test('the memory of a device is released with it', () => {
  const { known, device, values } = deviceIn();
  for (let n = 0; n < 300; n++) values({ [`t${n % 40}`]: n, [`u${n % 7}`]: 'x'.repeat(n) });
  known.leave(device.share!, device.bytes);
  assert.deepEqual([known.size, known.bytes], [0, 0]);
});

test('the kept reports are the smallest set with the last value of every tag, in whatever order reports arrive', () => {
  const names = ['a', 'b', 'c', 'd', ...Array.from({ length: 20 }, (_, i) => `n${i}`)];
  const time = fc.integer({ min: 0, max: 6 }).map((ms) => nowMs + ms);
  const reading = fc.record(
    { tag: fc.constantFrom('a', 'b', 'c', ...names), value: fc.integer(), time },
    { requiredKeys: ['tag', 'value'], noNullPrototype: true },
  );
  const report = fc.record(
    {
      time,
      readings: fc.array(reading, { minLength: 1, maxLength: 30 }),
      clock: fc.constantFrom('ahead' as const, 'ingest' as const),
    },
    { requiredKeys: ['time', 'readings'], noNullPrototype: true },
  );
  const all = names.map((tag) => ({ tag, value: 0 }));
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          { arbitrary: report, weight: 9 },
          time.map((ms) => ({ time: ms, readings: all })),
        ),
        { maxLength: 25 },
      ),
      (sent) => {
        const { device, known, report: keep } = deviceIn();
        const reports = sent.map((each, at) => ({ device: 'p.d', received: nowMs + 3 + at, ...each }));
        for (const each of reports) keep(each);
        const kept = device.lastValues();
        assert.deepEqual(lastOf(kept.map(({ report: each }) => each)), lastOf(reports));
        const seqs = kept.map(({ seq }) => seq);
        assert.deepEqual(
          seqs,
          [...seqs].sort((a, b) => a - b),
        );
        for (const { seq } of kept) {
          const others = kept.filter((each) => each.seq !== seq).map(({ report: each }) => each);
          assert.notDeepEqual(lastOf(others), lastOf(reports), `report ${seq} is not needed`);
        }
        assert.equal(device.lastSeq, reports.length - 1);
        known.leave(device.share!, device.bytes);
        assert.equal(known.bytes, 0);
      },
    ),
    { seed: 1, numRuns: 500 },
  );
});
