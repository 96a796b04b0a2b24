import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeReport } from '@tailrace/protocol/report-proto';
import { randomFrom } from '../../test/cluster.ts';
import { LogReport } from '../channels/log-report.ts';
import { type CutMoment, Cutter } from './cut.ts';
import type { Publication } from './publication.ts';

interface WholeCut extends CutMoment {
  readonly reports: readonly Publication[];
  readonly late: readonly string[];
}

interface SentReport {
  readonly device: string;
  readonly partition: number;
  readonly seq: number;
  readonly received: number;
  readonly values: Readonly<Record<string, number>>;
  /** By the device's clock. Default: in order. */
  readonly time?: number;
  readonly historical?: boolean;
}

function logReportOf({ device, partition, seq, received, values, time = seq, historical }: SentReport): LogReport {
  const readings = Object.entries(values).map(([tag, value]) => ({ tag, value }));
  const report = { device, time, readings, ...(historical === undefined ? {} : { historical }) };
  return new LogReport(partition, seq, encodeReport(report, received));
}

/** Returns the value of each tag in a cut, as a client reads it. */
function valuesOf(cut: WholeCut): Map<string, number> {
  const values = new Map<string, number>();
  for (const { report } of cut.reports) {
    for (const { tag, value } of report.readings) values.set(`${report.device}/${tag}`, Number(value));
  }
  return values;
}

/** Returns the last values of what was sent until a time, by position. */
function asOf(sent: readonly SentReport[], at: number): Map<string, number> {
  const values = new Map<string, number>();
  for (const { device, values: own, received } of [...sent].sort((a, b) => a.seq - b.seq)) {
    if (received <= at) for (const [tag, value] of Object.entries(own)) values.set(`${device}/${tag}`, value);
  }
  return values;
}

/** Creates a cutter with these last values. */
function started(options: ConstructorParameters<typeof Cutter>[0], lastValues: readonly Publication[], nowMs: number) {
  const cutter = new Cutter(options);
  for (const publication of lastValues) cutter.addLastValue(publication);
  cutter.start(nowMs);
  return cutter;
}

/** A watermark that is further ahead of the clock is ignored. */
const aheadMsMax = 10_000;

/** Returns the whole cut that is due. */
function due(cutter: Cutter, watermarkOf: (partition: number) => number, nowMs: number): WholeCut | undefined {
  const moment = cutter.due((partition) => Math.min(watermarkOf(partition), nowMs + aheadMsMax), nowMs);
  if (moment === undefined) return undefined;
  for (const _ of cutter.settle());
  const made = [0, 1, 2].map((partition) => cutter.takePartition(partition));
  const reports = made.flatMap((each) => each.reports);
  return { ...moment, reports, late: made.flatMap(({ late }) => [...late]).sort() };
}

const options = { partitions: [0, 1], alignMs: 1_000, waitMs: 2_000 };
const passed = () => Number.POSITIVE_INFINITY;

test('a cut has the reports received until its time, and later ones are in the next', () => {
  const cutter = started(options, [], 10_500);
  assert.equal(cutter.at, 11_000);
  const sent = [
    { device: 'a', partition: 0, seq: 1, received: 10_900, values: { t: 1, p: 7 } },
    { device: 'b', partition: 1, seq: 1, received: 11_000, values: { t: 2 } },
    { device: 'a', partition: 0, seq: 2, received: 11_001, values: { t: 3 } },
  ];
  for (const each of sent) cutter.add(logReportOf(each));
  assert.equal(
    due(cutter, (partition) => (partition === 0 ? 11_001 : 11_000), 11_100),
    undefined,
    'partition 1 has not passed it',
  );
  const first = due(cutter, () => 11_001, 11_100)!;
  assert.deepEqual([first.at, first.missing, first.late], [11_000, [], []]);
  assert.deepEqual(Object.fromEntries(valuesOf(first)), { 'a/t': 1, 'a/p': 7, 'b/t': 2 });
  assert.equal(
    due(cutter, () => 11_001, 11_100),
    undefined,
  );
  const second = due(cutter, () => 12_001, 12_100)!;
  assert.deepEqual(Object.fromEntries(valuesOf(second)), { 'a/t': 3, 'a/p': 7, 'b/t': 2 });
});

test('a cut waits for a partition, then names it; its later reports are in the next cut, and named late there', () => {
  const cutter = started(options, [], 10_500);
  const watermarks = (partition: number) => (partition === 0 ? 20_000 : 10_000);
  assert.equal(due(cutter, watermarks, 12_999), undefined);
  assert.deepEqual(due(cutter, watermarks, 13_000)!.missing, [1]);
  cutter.add(logReportOf({ device: 'b', partition: 1, seq: 1, received: 10_990, values: { t: 2 } }));
  cutter.add(logReportOf({ device: 'c', partition: 1, seq: 2, received: 11_500, values: { t: 2 } }));
  const next = due(cutter, passed, 13_500)!;
  assert.deepEqual([next.at, next.late, next.missing], [12_000, ['b'], []]);
  assert.equal(valuesOf(next).size, 2);
  assert.deepEqual(due(cutter, passed, 14_500)!.late, []);
});

test('a report that arrives while a cut is made is late in the first cut after the one that lacks it', () => {
  const cutter = started(options, [], 10_500);
  assert.equal(cutter.due(() => 11_001, 11_100)!.at, 11_000);
  for (const _ of cutter.settle());
  cutter.add(logReportOf({ device: 'a', partition: 0, seq: 1, received: 10_900, values: { t: 1 } }));
  const first = cutter.takePartition(0);
  assert.deepEqual([first.reports.length, [...first.late]], [1, []], 'its own cut has it');
  cutter.add(logReportOf({ device: 'b', partition: 0, seq: 2, received: 10_950, values: { t: 1 } }));
  cutter.add(logReportOf({ device: 'c', partition: 1, seq: 1, received: 10_950, values: { t: 1 } }));
  const second = cutter.takePartition(1);
  assert.deepEqual([second.reports.length, [...second.late]], [1, []]);
  const next = due(cutter, passed, 12_100)!;
  assert.deepEqual([next.reports.length, next.late], [3, ['b']]);
});

test('after a pause of the process one cut is sent, for the last time that fell due', () => {
  const cutter = started(options, [], 10_500);
  cutter.add(logReportOf({ device: 'a', partition: 0, seq: 1, received: 30_000, values: { t: 1 } }));
  const cut = due(cutter, () => 10_000, 100_700)!;
  assert.deepEqual([cut.at, cut.missing, cut.reports.length], [98_000, [0, 1], 1]);
  assert.equal(
    due(cutter, () => 10_000, 100_700),
    undefined,
  );
});

test('a clock that is set ahead skips cuts, and a clock that is set back sets the cuts back', () => {
  const cutter = started(options, [], 10_500);
  const hourMs = 3_600_000;
  const ahead = 11_000 + hourMs;
  cutter.add(logReportOf({ device: 'a', partition: 0, seq: 1, received: 11_500, values: { t: 1 } }));
  cutter.add(logReportOf({ device: 'b', partition: 1, seq: 1, received: ahead - 100, values: { t: 1 } }));
  // Of the cuts between, only those that are not late yet.
  const moments = Array.from({ length: 3 }, () => due(cutter, () => ahead, ahead)?.at);
  assert.deepEqual(moments, [ahead - 2_000, ahead - 1_000, undefined]);
  const back = due(cutter, () => 12_001, 12_000)!;
  assert.deepEqual([back.at, back.missing], [12_000, []]);
  assert.deepEqual(Object.fromEntries(valuesOf(back)), { 'a/t': 1, 'b/t': 1 }, 'a report from an hour ahead is in it');
  assert.equal(due(cutter, () => 13_001, 13_100)!.at, 13_000);
});

test('a watermark from before the clock was set back makes no cut, and hides no missing partition', () => {
  const cutter = started(options, [], 10_500);
  const aheadMs = 11_000 + 60_000;
  cutter.add(logReportOf({ device: 'a', partition: 0, seq: 1, received: aheadMs + 900, values: { t: 1 } }));
  assert.equal(due(cutter, () => aheadMs, aheadMs)!.at, aheadMs - 2_000);
  // The log is unavailable: the watermarks stay.
  const cuts: CutMoment[] = [];
  for (let nowMs = 11_000; nowMs < 31_000; nowMs += 25) {
    const cut = cutter.due(() => aheadMs, nowMs);
    if (cut !== undefined) cuts.push(cut);
    if (cuts.length === 1) for (const _ of cutter.settle());
  }
  assert.deepEqual(
    cuts.map(({ at }) => at),
    Array.from({ length: 18 }, (_, i) => 11_000 + i * 1_000),
  );
  assert.ok(cuts.every(({ missing }) => missing.length === 2));
  assert.equal(
    cutter.takePartition(0).reports.length,
    1,
    'what was held for a cut of the old time is released with the first cut',
  );
});

test('cuts go back only if the next one is more than 10 s before the last, as clients expect', () => {
  for (const alignMs of [100, 1_000 / 3, 1_000, 4_000, 10_000, 60_000]) {
    for (let backMs = 0; backMs < 3 * alignMs + 12_000; backMs += alignMs / 4) {
      const nowMs = 1_795_930_000_000;
      const cutter = started({ partitions: [0], alignMs, waitMs: 2_000 }, [], nowMs);
      const before = due(cutter, passed, cutter.at!)!.at;
      cutter.due(() => 0, nowMs - backMs);
      const next = cutter.at!;
      assert.ok(next > before || next < before - aheadMsMax, `${before - next} ms back, align ${alignMs}`);
      assert.ok(next <= nowMs - backMs + 2 * alignMs + aheadMsMax, `${next - nowMs} ms ahead, align ${alignMs}`);
    }
  }
});

test('the first cut starts with the last values, and is not before the newest of them', () => {
  const last = [logReportOf({ device: 'a', partition: 0, seq: 9, received: 10_700, values: { t: 1 } })];
  assert.equal(started(options, last, 10_000).at, 11_000);
  const cut = due(started(options, last, 10_000), passed, 11_000)!;
  assert.deepEqual(Object.fromEntries(valuesOf(cut)), { 'a/t': 1 });
  const wrongClock = [logReportOf({ device: 'a', partition: 0, seq: 9, received: 1e9, values: { t: 1 } })];
  assert.equal(
    started(options, wrongClock, 10_000).at,
    20_000,
    'a clock that is days ahead does not delay the first cut',
  );
});

test('a device that reports all its tags each time holds one report, and replaced reports are released', () => {
  const cutter = started(options, [], 10_500);
  const one = logReportOf({ device: 'a', partition: 0, seq: 0, received: 10_600, values: { t: 0, p: 0 } });
  cutter.add(one);
  const { bytes } = cutter;
  for (let seq = 1; seq < 50; seq++) {
    cutter.add(logReportOf({ device: 'a', partition: 0, seq, received: 10_600, values: { t: seq, p: seq } }));
  }
  assert.ok(cutter.bytes <= bytes + 20, `${cutter.bytes}`);
  assert.equal(due(cutter, passed, 11_000)!.reports.length, 1);
});

test('a late report is in a cut for the tags that it alone has, and replaces nothing newer', () => {
  const cutter = started(options, [], 10_500);
  const sent = { device: 'a', partition: 0, received: 10_400 };
  cutter.add(logReportOf({ ...sent, seq: 1, time: 10_300, values: { t: 1 } }));
  cutter.add(logReportOf({ ...sent, seq: 2, time: 7_000, values: { t: 2 } }));
  cutter.add(logReportOf({ ...sent, seq: 3, time: 8_000, values: { t: 3, p: 3 } }));
  const cut = due(cutter, passed, 11_000)!;
  assert.deepEqual(
    cut.reports.map(({ seq }) => seq),
    [1, 3],
  );
});

test('a historical report is in no cut', () => {
  const cutter = started(options, [], 10_500);
  const sent = { device: 'a', partition: 0, received: 10_900 };
  cutter.add(logReportOf({ ...sent, seq: 1, values: { t: 1 } }));
  cutter.add(logReportOf({ ...sent, seq: 2, values: { t: 2, u: 2 }, time: 99, historical: true }));
  assert.deepEqual([...valuesOf(due(cutter, passed, 11_000)!)], [['a/t', 1]]);
});

test('in any order over partitions, each cut has the last values as of its time, except for what it names', () => {
  let named = 0;
  let cuts = 0;
  for (let seed = 1; seed <= 60; seed++) {
    const random = randomFrom(seed);
    const partitions = [0, 1, 2];
    const slackMs = 100;
    // How far a report may be behind another one before it in the log; in some runs more than the slack.
    const jitterMs = seed % 3 === 0 ? 400 : slackMs;
    const startMs = 1_000_000;
    const logs = partitions.map((partition) => {
      const sent: SentReport[] = [];
      let clockMs = startMs + 1;
      for (let seq = 0; seq < 150; seq++) {
        clockMs += Math.floor(random() * 80);
        const values = Object.fromEntries(['t', 'p', 'q'].filter(() => random() < 0.6).map((tag) => [tag, seq]));
        const received = Math.max(startMs + 1, clockMs - Math.floor(random() * jitterMs));
        if (Object.keys(values).length > 0)
          sent.push({ device: `d${partition}.${Math.floor(random() * 4)}`, partition, seq, received, values });
      }
      return sent;
    });
    const cutter = started({ partitions, alignMs: 500, waitMs: 1_500 }, [], startMs);
    const fed = partitions.map(() => 0);
    const watermarks = partitions.map(() => startMs);
    const made: { cut: WholeCut; fed: number[] }[] = [];
    let nowMs = startMs;
    while (fed.some((count, i) => count < logs[i]!.length)) {
      const partition = partitions[Math.floor(random() * 3)]!;
      // Sometimes one of them pauses for a while.
      for (let burst = Math.floor(random() * 12); burst > 0 && fed[partition]! < logs[partition]!.length; burst--) {
        const sent = logs[partition]![fed[partition]!++]!;
        cutter.add(logReportOf(sent));
        watermarks[partition] = Math.max(watermarks[partition]!, sent.received - slackMs);
        nowMs = Math.max(nowMs, sent.received);
      }
      for (;;) {
        const cut = due(cutter, (number) => watermarks[number]!, nowMs);
        if (cut === undefined) break;
        made.push({ cut, fed: [...fed] });
      }
    }
    // What arrived after the last cut is named in one more.
    made.push({ cut: due(cutter, passed, nowMs)!, fed: [...fed] });
    for (const [i, { cut, fed: sofar }] of made.entries()) {
      cuts++;
      const here = logs.flatMap((sent, partition) => sent.slice(0, sofar[partition]));
      assert.deepEqual(valuesOf(cut), asOf(here, cut.at), `seed ${seed}: as of ${cut.at}`);
      const whole = logs.flat().filter(({ partition }) => !cut.missing.includes(partition));
      const lateOnes = new Set(made.slice(i + 1).flatMap((later) => later.cut.late));
      const exact = whole.filter(({ device }) => !lateOnes.has(device));
      const expected = asOf(exact, cut.at);
      for (const [key, value] of expected) {
        assert.equal(
          valuesOf(cut).get(key),
          value,
          `seed ${seed}: ${key} as of ${cut.at} is incomplete, and no cut names it`,
        );
      }
      // A device that is named late is late: an earlier report of it arrived after the previous cut.
      const before = made[i - 1];
      for (const device of cut.late) {
        named++;
        const came = logs.flatMap((sent, partition) => sent.slice(before!.fed[partition], sofar[partition]));
        assert.ok(came.some((sent) => sent.device === device && sent.received <= before!.cut.at));
      }
      if (jitterMs <= slackMs) {
        for (const device of cut.late) assert.ok(before!.cut.missing.length > 0, `${device} cannot be late`);
      }
    }
  }
  assert.ok(cuts > 500 && named > 20, `${cuts} cuts, ${named} late: the test tests little`);
});

test('cuts at fractions of a millisecond stay multiples, and each has the reports received until its time', () => {
  for (const alignMs of [1_000 / 3, 333.3, 100.1]) {
    const startMs = 1_795_930_000_000;
    const cutter = started({ partitions: [0], alignMs, waitMs: 2_000 }, [], startMs);
    for (let n = 0; n < 20_000; n++) {
      const receivedMs = cutter.at! - alignMs / 2;
      cutter.add(logReportOf({ device: 'a.b', partition: 0, seq: n, received: receivedMs, values: { t: n } }));
      const cut = due(cutter, () => receivedMs + alignMs, receivedMs + alignMs)!;
      assert.equal(valuesOf(cut).get('a.b/t'), n, `cut ${n} at ${cut.at} of ${alignMs} ms`);
      assert.equal(cut.at, Math.round(cut.at / alignMs) * alignMs);
    }
  }
});
