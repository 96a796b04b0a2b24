import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Reading, Report } from '@tailrace/protocol/report';
import { failurePhase } from './failure.ts';
import type { Mood } from './mood.ts';
import { createPlant, type Plant } from './plant.ts';

/** The start of a shift of line 1. */
const startMs = 480_000 * 3_000_000;

/** Returns the reports of `seconds` at 2 Hz, of the first tick at `fromS`. */
function run(plant: Plant, seconds: number, fromS = 0): Report[] {
  const reports: Report[] = [];
  for (let tick = 0; tick < seconds * 2; tick++) reports.push(...plant.tick(startMs + 1000 * fromS + tick * 500, 0.5));
  return reports;
}

const withMood = (mood: Mood, seconds: number) => run(createPlant(7, mood), seconds);
const numbersOf = (reports: readonly Report[], device: string, tag: string): number[] =>
  readingsOf(reports, device, tag).map(({ value }) => Number(value));
const readingsOf = (reports: readonly Report[], device: string, tag: string): Reading[] =>
  reports.flatMap((report) => (report.device === device ? report.readings.filter((each) => each.tag === tag) : []));

test('drift changes one sensor of each area by 2 % of its span a minute, until the next shift', () => {
  const [drifting, calm] = [withMood('drift', 600), withMood('calm', 600)];
  const changed = new Map<string, number[]>();
  for (const [index, report] of drifting.entries()) {
    for (const [at, reading] of report.readings.entries()) {
      const before = calm[index]!.readings[at]!;
      if (reading.tag === 'mood' || reading.value === before.value) continue;
      const key = `${report.device} ${reading.tag}`;
      changed.set(key, [...(changed.get(key) ?? []), Number(reading.value) - Number(before.value)]);
    }
  }
  assert.deepEqual([...changed.keys()].map((key) => key.split('.')[1]).sort(), [
    'cell1',
    'line1',
    'line2',
    'line3',
    'utility',
  ]);
  const line1 = [...changed].find(([key]) => key.includes('line1'))!;
  const span = { press1: 60, spindle1: 80, oven1: 250, compressor1: 100, robot1: 60 }[line1[0].split(/[. ]/)[2]!]!;
  const highest = Math.max(...line1[1]);
  assert.ok(Math.abs(highest - 0.16 * span) < 0.01 * span, `${highest} at the end of the shift, of ${span}`);
  assert.ok(line1[1].at(-1)! < 0.05 * span, 'after two minutes of the next shift');
});

test('a storm sends ten times as many reports for a minute of five, and one device of an area fifty times', () => {
  const counts = (from: number, until: number, reports: readonly Report[]) => {
    const byDevice = new Map<string, number>();
    for (const { device, time } of reports) {
      const second = (time! - startMs) / 1000;
      if (second >= from && second < until) byDevice.set(device, (byDevice.get(device) ?? 0) + 1);
    }
    return byDevice;
  };
  const [storm, calm] = [withMood('storm', 360), withMood('calm', 360)];
  const [burst, usual] = [counts(5, 55, storm), counts(5, 55, calm)];
  const factors = [...usual]
    .filter(([device]) => device !== 'plant1.simulator')
    .map(([device, count]) => Math.round(burst.get(device)! / count / 10));
  assert.equal(factors.filter((factor) => factor === 5).length, 5);
  assert.ok(
    factors.every((factor) => factor === 1 || factor === 5),
    `${factors}`,
  );
  const [between, usualBetween] = [counts(70, 290, storm), counts(70, 290, calm)];
  for (const [device, count] of usualBetween) assert.ok(between.get(device)! < 1.3 * count, device);
  assert.ok(
    counts(301, 350, storm).get('plant1.line1.press1')! > 5 * counts(301, 350, calm).get('plant1.line1.press1')!,
  );
});

test('a storm repeats 2 % of the reports with the same ID, and sends 1 % late with their own time', () => {
  const plant = createPlant(7, 'storm');
  const ids = new Map<string, number>();
  let late = 0;
  for (let tick = 0; tick < 400; tick++) {
    const timeMs = startMs + 500 * tick;
    for (const { id, time, device } of plant.tick(timeMs, 0.5)) {
      if (device === 'plant1.simulator') continue;
      ids.set(id!, (ids.get(id!) ?? 0) + 1);
      if (timeMs - time! > 2_000) {
        late++;
        assert.ok(timeMs - time! >= 5_000 && timeMs - time! <= 62_000);
      }
    }
  }
  const repeated = [...ids.values()].filter((count) => count > 1).length;
  assert.ok(repeated / ids.size > 0.015 && repeated / ids.size < 0.025, `${repeated} of ${ids.size}`);
  assert.ok(late / ids.size > 0.006 && late / ids.size < 0.014, `${late} of ${ids.size}`);
});

test('the reports that a storm holds back are sent when it is switched off', () => {
  const [storm, calm] = [createPlant(7, 'storm'), createPlant(7)];
  const before = run(storm, 31);
  run(calm, 31);
  storm.command('plant1.simulator', { name: 'set', params: { mood: 'calm' } });
  const after = storm.tick(startMs + 31_000, 0.5);
  const usual = calm.tick(startMs + 31_000, 0.5);
  const held = after.filter(({ time }) => time! < startMs + 31_000);
  const sent = new Set(before.map(({ id }) => id));
  assert.ok(held.filter(({ id }) => !sent.has(id)).length > 20, 'late reports');
  assert.ok(
    held.some(({ id }) => sent.has(id)),
    'reports with the ID of an earlier one',
  );
  assert.equal(after.length - held.length, usual.length + 1, 'the mood is reported at once');
});

test('dropout interrupts the link of every device, for 5 to 90 s, and unit 3 for 30 s of two minutes', () => {
  const plant = createPlant(7, 'dropout');
  const away = new Map<string, number[]>(plant.devices.map((device) => [device, []]));
  const lengths: number[] = [];
  for (let tick = 0; tick < 3600; tick++) {
    plant.tick(startMs + tick * 500, 0.5);
    for (const [device, spans] of away) {
      if (!plant.isLinked(device)) {
        spans.push((spans.pop() ?? 0) + 0.5);
      } else if (spans.at(-1) !== 0) spans.push(0);
    }
  }
  for (const [device, spans] of away) {
    if (device === 'plant1.simulator') assert.deepEqual(spans, [0]);
    else if (device === 'plant1.utility.meter3') assert.deepEqual([...new Set(spans.slice(0, -1))].slice(-1), [30]);
    else lengths.push(...spans.filter((span) => span > 0));
  }
  const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
  assert.ok(lengths.length > 300, `${lengths.length} interruptions`);
  assert.ok(Math.max(...lengths) <= 90.5);
  assert.ok(mean > 15 && mean < 30, `${mean}`);
});

test('a failure: normal with a planned stop, a slow rise, a steep one, then the machine trips and cools', () => {
  assert.deepEqual(
    [0, 119, 120, 239, 240, 359, 360, 959, 960, 1079, 1080, 1199, 1200].map((second) => failurePhase(second).phase),
    [
      'normal',
      'normal',
      'planned stop',
      'planned stop',
      'normal',
      'normal',
      'rise',
      'rise',
      'ramp',
      'ramp',
      'tripped',
      'tripped',
      'normal',
    ],
  );
  const rises = Array.from({ length: 1080 }, (_, second) => failurePhase(second).risenK);
  assert.ok(rises.every((rise, index) => index === 0 || rise >= rises[index - 1]!));
  assert.ok(Math.abs(failurePhase(660).risenK - 1.5) < 0.01, 'a quarter of 6 K after half of the rise');
  assert.ok(Math.abs(failurePhase(1079.9).risenK - 31) < 0.1);
  assert.ok(failurePhase(1140).risenK < 12);
  assert.ok(failurePhase(1100).isUncertain && !failurePhase(1111).isUncertain);
});

test('a failure stops the spindle of line 1 and shows it in temperature, state and quality; others stay as they are', () => {
  const spindle = 'plant1.line1.spindle1';
  const [failing, calm] = [withMood('failure', 1190), withMood('calm', 1190)];
  const speeds = numbersOf(failing, spindle, 'speed');
  const at = (second: number, values: readonly number[]) => values[second * 2]!;
  assert.ok(at(230, speeds) < 60 && at(230, numbersOf(calm, spindle, 'speed')) > 5_000, 'the planned stop');
  const [hot, usual] = [
    numbersOf(failing, spindle, 'bearing_temperature'),
    numbersOf(calm, spindle, 'bearing_temperature'),
  ];
  assert.ok(at(1078, hot) - at(1078, usual) > 20, `${at(1078, hot)} ${at(1078, usual)}`);
  assert.equal(readingsOf(failing, spindle, 'state').at(-1)!.value, 'tripped');
  const qualities = readingsOf(failing, spindle, 'bearing_temperature').slice(2 * 1082, 2 * 1100);
  assert.ok(qualities.every(({ quality }) => quality !== undefined));
  const press = (reports: readonly Report[]) => numbersOf(reports, 'plant1.line1.press1', 'stroke_rate');
  assert.deepEqual(press(failing), press(calm));
});

test('the simulator reports its mood, also at once after a change', () => {
  const plant = createPlant(7);
  const moodOf = (reports: readonly Report[]) =>
    readingsOf(reports, 'plant1.simulator', 'mood').map(({ value }) => value);
  assert.deepEqual(moodOf(run(plant, 21)), ['calm', 'calm', 'calm']);
  plant.command('plant1.simulator', { name: 'set', params: { mood: 'dropout' } });
  assert.equal(plant.mood, 'dropout');
  assert.deepEqual(moodOf(run(plant, 1, 21)), ['dropout']);
});
