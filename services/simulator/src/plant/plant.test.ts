import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Reading, Report } from '@tailrace/protocol/report';
import { reportFromJson } from '@tailrace/protocol/report';
import { createPlant, simulatorDevice } from './plant.ts';

const startMs = Date.UTC(2024, 4, 6, 9);

/** Returns the reports of the plant over `seconds`, at 2 Hz. */
function run(seconds: number, seed = 7): Report[] {
  const plant = createPlant(seed);
  const reports: Report[] = [];
  for (let tick = 1; tick <= seconds * 2; tick++) reports.push(...plant.tick(startMs + tick * 500, 0.5));
  return reports;
}

/** Returns the values of a tag over time, good readings only. */
function valuesOf(reports: readonly Report[], device: string, tag: string): number[] {
  return reports
    .filter((report) => report.device === device)
    .flatMap(({ readings }) =>
      readings
        .filter((reading) => reading.tag === tag && reading.quality === undefined)
        .map(({ value }) => Number(value)),
    );
}

const hour = run(3600);

test('lines, cell and utilities: each machine has three to eight tags, at one to two reports a second', () => {
  const { devices } = createPlant(1);
  const count = (area: string) => devices.filter((device) => device.startsWith(`plant1.${area}.`)).length;
  assert.deepEqual(['line1', 'line2', 'line3', 'cell1', 'utility'].map(count), [10, 10, 10, 4, 7]);
  assert.equal(new Set(devices).size, 42);
  assert.equal(devices.at(-1), simulatorDevice);
  for (const device of devices.slice(0, -1)) {
    const reports = hour.filter((report) => report.device === device);
    const rateHz = reports.length / 3600;
    assert.ok(rateHz >= 1 && rateHz <= 2, `${device} reports at ${rateHz} Hz`);
    for (const { readings } of reports) {
      assert.ok(readings.length >= 3 && readings.length <= 8, device);
      assert.equal(new Set(readings.map(({ tag }) => tag)).size, readings.length);
    }
  }
});

test('every report is valid', () => {
  for (const report of hour.slice(0, 2000)) reportFromJson(structuredClone(report));
});

test('the same seed produces the same plant, another seed a different one', () => {
  assert.deepEqual(run(20, 3), run(20, 3));
  assert.notDeepEqual(run(20, 3), run(20, 4));
});

const bounds: Record<string, [number, number]> = {
  oil_temperature: [15, 75],
  pressure: [0, 270],
  force: [0, 1000],
  stroke_rate: [0, 27],
  speed: [0, 13_000],
  torque: [0, 70],
  vibration: [0, 13],
  bearing_temperature: [15, 90],
  motor_current: [0, 15],
  temperature: [20, 260],
  heater: [0, 100],
  tank_pressure: [4, 9.6],
  air_flow: [0, 5],
  outlet_temperature: [15, 100],
  gear_temperature: [15, 60],
  axis1: [-86, 86],
  power: [0, 250],
  voltage: [380, 420],
  current: [0, 400],
  frequency: [49.8, 50.2],
  power_factor: [0.7, 1],
  flow: [0, 60],
  stroke_rate_setpoint: [0, 26],
  speed_setpoint: [0, 1.2],
  temperature_setpoint: [20, 260],
  pressure_setpoint: [0, 10],
};

test('every quantity stays within the limits of such a machine', () => {
  const seen = new Set<string>();
  for (const { device, readings } of hour) {
    for (const { tag, value } of readings) {
      const bound = bounds[tag];
      if (bound === undefined || typeof value !== 'number') continue;
      seen.add(tag);
      assert.ok(value >= bound[0] && value <= bound[1], `${device} ${tag} ${value}`);
    }
  }
  assert.deepEqual([...seen].sort(), Object.keys(bounds).sort());
});

test('counters and meters only go up', () => {
  for (const [device, tag] of [
    ['plant1.line1.press1', 'strokes'],
    ['plant1.line2.conveyor1', 'parts'],
    ['plant1.line3.robot2', 'cycles'],
    ['plant1.line1.meter1', 'energy'],
    ['plant1.line2.compressor1', 'run_hours'],
  ] as const) {
    const values = valuesOf(hour, device, tag);
    assert.ok(
      values.every((value, index) => index === 0 || value >= values[index - 1]!),
      `${device} ${tag}`,
    );
    assert.ok(values.at(-1)! > values[0]!, `${device} ${tag} grows`);
  }
});

test('the meter sums up the power that it reports', () => {
  const power = valuesOf(hour, 'plant1.line1.meter1', 'power');
  const energy = valuesOf(hour, 'plant1.line1.meter1', 'energy');
  const meanKw = power.reduce((sum, value) => sum + value, 0) / power.length;
  // One hour: kWh and kW are the same number.
  assert.ok(Math.abs(energy.at(-1)! - energy[0]! - meanKw) < 0.05 * meanKw);
});

test('sensors fail occasionally: some readings are uncertain, some bad, nearly all good', () => {
  const counts = { good: 0, uncertain: 0, bad: 0 };
  for (const { readings } of hour) for (const reading of readings) counts[reading.quality ?? 'good']++;
  assert.ok(counts.uncertain > 0 && counts.bad > 0);
  assert.ok(counts.good > 0.98 * (counts.good + counts.uncertain + counts.bad));
});

test('a sensor that is bad repeats its last value', () => {
  const runs = new Map<string, Reading['value']>();
  for (const { device, readings } of hour) {
    for (const { tag, value, quality } of readings) {
      const key = `${device} ${tag}`;
      if (quality !== 'bad') runs.delete(key);
      else if (runs.has(key)) assert.equal(value, runs.get(key), key);
      else runs.set(key, value);
    }
  }
});

test('the plant does not catch up after a long pause', () => {
  const plant = createPlant(1);
  const [before] = valuesOf(plant.tick(startMs, 0.5), 'plant1.line1.meter1', 'energy');
  plant.tick(startMs + 500, 3600);
  const [after] = valuesOf(plant.tick(startMs + 1000, 0.5), 'plant1.line1.meter1', 'energy');
  assert.ok(after! - before! < 1);
});
