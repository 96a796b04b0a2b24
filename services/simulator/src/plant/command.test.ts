import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Report } from '@tailrace/protocol/report';
import type { PlantCommand } from './command.ts';
import { createPlant, type Plant } from './plant.ts';

/** 1:30 after the start of a shift of line 1: full load. */
const startMs = 480_000 * 3_000_000 + 90_000;

/** Ticks of half a second; returns the last values of a device. */
function ticked(plant: Plant, device: string, fromS: number, untilS: number) {
  const values: Record<string, unknown> = {};
  for (let second = fromS; second < untilS; second += 0.5) {
    const reports: Report[] = plant.tick(startMs + 1000 * second, 0.5);
    for (const report of reports.filter((each) => each.device === device)) {
      for (const { tag, value } of report.readings) values[tag] = value;
    }
  }
  return values as Record<string, number | boolean | string>;
}

const stop: PlantCommand = { name: 'stop', params: {} };
const start: PlantCommand = { name: 'start', params: {} };
const set = (params: PlantCommand['params']): PlantCommand => ({ name: 'set', params });

const running: readonly (readonly [device: string, tag: string, least: number])[] = [
  ['plant1.line1.press1', 'stroke_rate', 20],
  ['plant1.line1.spindle1', 'speed', 9_000],
  ['plant1.line1.conveyor1', 'speed', 0.4],
  ['plant1.utility.pump1', 'speed', 1_000],
];

for (const [device, tag, least] of running) {
  test(`${device} stops and starts by command, which its ${tag} shows`, () => {
    const plant = createPlant(3);
    assert.ok(Number(ticked(plant, device, 0, 30)[tag]) > least);
    plant.command(device, stop);
    const stopped = ticked(plant, device, 30, 70);
    assert.equal(stopped['enabled'], false);
    assert.ok(Number(stopped[tag]) < least / 10, `${stopped[tag]}`);
    plant.command(device, start);
    const started = ticked(plant, device, 70, 110);
    assert.equal(started['enabled'], true);
    assert.ok(Number(started[tag]) > least, `${started[tag]}`);
  });
}

test('a stopped compressor delivers nothing, and a stopped robot counts no cycles', () => {
  const plant = createPlant(3);
  plant.command('plant1.line1.compressor1', stop);
  plant.command('plant1.line1.robot1', stop);
  const before = ticked(plant, 'plant1.line1.robot1', 0, 15)['cycles'];
  assert.equal(ticked(plant, 'plant1.line1.compressor1', 15, 60)['loaded'], false);
  assert.equal(ticked(plant, 'plant1.line1.robot1', 60, 90)['cycles'], before);
});

const setpoints: readonly (readonly [device: string, setpoint: string, value: number, tag: string, within: number])[] =
  [
    ['plant1.line1.press1', 'stroke_rate_setpoint', 10, 'stroke_rate', 1.5],
    ['plant1.line1.conveyor1', 'speed_setpoint', 0.3, 'speed', 0.05],
    ['plant1.line1.oven1', 'temperature_setpoint', 150, 'temperature', 15],
    ['plant1.utility.pump1', 'pressure_setpoint', 3.25, 'pressure', 0.6],
  ];

for (const [device, setpoint, value, tag, within] of setpoints) {
  test(`${device} follows ${setpoint}, and reports it`, () => {
    const plant = createPlant(5);
    ticked(plant, device, 0, 5);
    plant.command(device, set({ [setpoint]: value }));
    const values = ticked(plant, device, 5, 140);
    assert.equal(values[setpoint], value);
    assert.ok(Math.abs(Number(values[tag]) - value) < within, `${tag} ${values[tag]}`);
  });
}

test('the gate opens only while no robot moves, and stops the robots until it is closed', () => {
  const plant = createPlant(3);
  const [door, robot] = ['plant1.cell1.door1', 'plant1.cell1.robot1'];
  const open: PlantCommand = { name: 'open', params: {} };
  assert.equal(ticked(plant, door, 0, 10)['locked'], true);
  assert.throws(() => plant.command(door, open), { code: 'forbidden', message: /robots move/ });
  plant.command(robot, stop);
  assert.equal(ticked(plant, door, 10, 30)['locked'], false);
  plant.command(door, open);
  plant.command(robot, start);
  assert.equal(ticked(plant, door, 30, 60)['open'], true);
  assert.equal(ticked(plant, robot, 60, 62)['protective_stop'], true);
  plant.command(door, { name: 'close', params: {} });
  assert.equal(ticked(plant, door, 62, 64)['open'], false);
  assert.equal(ticked(plant, robot, 64, 66)['protective_stop'], false);
});

test('a command that a machine does not have, or out of bounds, is refused with what is expected, and changes nothing', () => {
  const plant = createPlant(3);
  const twin = createPlant(3);
  const refused = (device: string, command: PlantCommand) => {
    try {
      plant.command(device, command);
    } catch (error) {
      return (error as { code: string }).code;
    }
    return 'obeyed';
  };
  const press = 'plant1.line1.press1';
  assert.deepEqual(
    [
      refused('plant1.line9.press1', stop),
      refused('plant1.line1.meter1', stop),
      refused(press, { name: 'constructor', params: {} }),
      refused(press, set({ speed: 1 })),
      refused(press, set({ toString: 1 })),
      refused(press, set({})),
      refused(press, set({ stroke_rate_setpoint: '12' })),
      refused(press, set({ stroke_rate_setpoint: 26.5 })),
      // The first parameter is valid.
      refused(press, set({ stroke_rate_setpoint: 3, other: 1 })),
      refused(press, { name: 'stop', params: { now: true } }),
      refused('plant1.line1.oven1', start),
      refused('plant1.simulator', set({ mood: 'happy' })),
      refused('plant1.simulator', stop),
    ],
    [
      'not_found',
      'not_found',
      'not_found',
      'not_found',
      'not_found',
      'invalid_message',
      'invalid_message',
      'forbidden',
      'not_found',
      'invalid_message',
      'not_found',
      'invalid_message',
      'not_found',
    ],
  );
  assert.throws(() => plant.command(press, set({ stroke_rate_setpoint: 99 })), {
    message: 'params.stroke_rate_setpoint: expected 0 to 26, got 99',
  });
  assert.deepEqual(plant.tick(startMs, 0.5), twin.tick(startMs, 0.5));
});

test('the same seed, ticks and commands produce the same plant', () => {
  const run = () => {
    const plant = createPlant(9, 'storm');
    const reports = plant.tick(startMs, 0.5);
    plant.command('plant1.line2.press1', set({ stroke_rate_setpoint: 4 }));
    plant.command('plant1.simulator', set({ mood: 'drift' }));
    for (let tick = 1; tick < 20; tick++) reports.push(...plant.tick(startMs + 500 * tick, 0.5));
    return reports;
  };
  assert.deepEqual(run(), run());
});
