import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Report, reportFromJson } from '@tailrace/protocol/report';
import type { PlantCommand } from '../plant/command.ts';
import { createHouse, type House } from './house.ts';

/** Monday, 3:00 UTC: both people are in. */
const nightMs = Date.UTC(2024, 4, 6, 3);

function ticked(house: House, fromMs: number, seconds: number, dtS = 0.5): Report[] {
  const reports: Report[] = [];
  for (let second = 0; second < seconds; second += dtS) reports.push(...house.tick(fromMs + 1000 * second, dtS));
  return reports;
}

function lastValue(reports: readonly Report[], device: string, tag: string): unknown {
  const report = reports.findLast((each) => each.device === device);
  return report?.readings.find((each) => each.tag === tag)?.value;
}

const set = (params: PlantCommand['params']): PlantCommand => ({ name: 'set', params });
const named = (name: string): PlantCommand => ({ name, params: {} });

test('each device of the house reports once a second, three or four tags, in valid reports', () => {
  const house = createHouse(1);
  const reports = ticked(house, nightMs, 60);
  assert.equal(house.devices.length, 9);
  for (const device of house.devices) assert.equal(reports.filter((each) => each.device === device).length, 60, device);
  for (const report of reports.slice(0, 100)) {
    assert.ok(report.readings.length >= 3 && report.readings.length <= 4, report.device);
    reportFromJson(structuredClone(report));
  }
});

test('a lamp is switched and dimmed, which the next tick reports', () => {
  const house = createHouse(1);
  ticked(house, nightMs, 0.5);
  for (const [on, power] of [
    [true, 4.8],
    [false, 0.3],
  ] as const) {
    house.command('home.lamps.kitchen', set({ on, brightness: 50 }));
    const reports = house.tick(nightMs + 500, 0.5);
    const values = ['on', 'brightness', 'power'].map((tag) => lastValue(reports, 'home.lamps.kitchen', tag));
    assert.deepEqual(values, [on, 50, power]);
    assert.equal(lastValue(reports, 'home.lamps.hall', 'on'), undefined);
    house.tick(nightMs + 1000, 0.5);
  }
});

test('the temperature of a room follows its target, up and down', () => {
  const house = createHouse(1);
  const room = 'home.heating.living';
  for (const target of [16, 23]) {
    house.command(room, set({ target }));
    const reports = ticked(house, nightMs, 3600, 5);
    assert.equal(lastValue(reports, room, 'target'), target);
    const temperature = Number(lastValue(reports, room, 'temperature'));
    assert.ok(Math.abs(temperature - target) < 1, `${temperature} with the target ${target}`);
  }
});

test('the door is locked while it is closed, and a person with a key opens it', () => {
  const house = createHouse(1);
  const door = 'home.entrance';
  ticked(house, nightMs, 60);
  house.command(door, named('lock'));
  assert.equal(lastValue(house.tick(nightMs + 60_000, 0.5), door, 'locked'), true);
  house.command(door, named('unlock'));
  assert.equal(lastValue(house.tick(nightMs + 60_500, 0.5), door, 'locked'), false);
  let atMs = nightMs + 61_000;
  const isOpen = () => lastValue(house.tick(atMs, 0.5), door, 'open') === true;
  for (; !isOpen(); atMs += 500) assert.ok(atMs < nightMs + 4 * 3_600_000, 'the door stays closed');
  assert.throws(() => house.command(door, named('lock')), {
    code: 'forbidden',
    message: 'lock: expected a closed door, got an open one',
  });
});

test('people are in at night, out in the middle of a weekday, and pass the door when they come and go', () => {
  const house = createHouse(4);
  const seen = new Map<number, unknown>();
  let openings: unknown;
  for (let minute = 0; minute < 24 * 60; minute++) {
    const timeMs = nightMs + minute * 60_000;
    const reports = [...house.tick(timeMs, 5), ...house.tick(timeMs + 30_000, 5)];
    seen.set((3 + minute / 60) % 24, lastValue(reports, 'home.presence', 'persons'));
    assert.equal(lastValue(reports, 'home.presence', 'occupied'), lastValue(reports, 'home.entrance', 'occupied'));
    if (minute === 0) openings = lastValue(reports, 'home.entrance', 'openings');
    if (minute === 24 * 60 - 1)
      assert.ok(Number(lastValue(reports, 'home.entrance', 'openings')) >= Number(openings) + 2);
  }
  assert.deepEqual(
    [3, 12, 22].map((hour) => seen.get(hour)),
    [2, 0, 2],
  );
});

test('a command that a device does not have is refused, and changes nothing', () => {
  const house = createHouse(2);
  const twin = createHouse(2);
  const refused: readonly (readonly [string, PlantCommand, string])[] = [
    ['home.lamps.garage', named('lock'), 'not_found'],
    ['home.lamps.kitchen', named('lock'), 'not_found'],
    ['home.lamps.kitchen', set({ on: 1 }), 'invalid_message'],
    ['home.lamps.kitchen', set({ on: true, brightness: 101 }), 'forbidden'],
    ['home.heating.living', set({ target: 40 }), 'forbidden'],
    ['home.presence', set({ persons: 1 }), 'not_found'],
  ];
  for (const [device, command, code] of refused) assert.throws(() => house.command(device, command), { code }, device);
  assert.deepEqual(house.tick(nightMs, 0.5), twin.tick(nightMs, 0.5));
});
