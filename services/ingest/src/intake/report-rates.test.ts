import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReportRates, ratedDevicesMax } from './report-rates.ts';

const of = (...devices: readonly string[]) => devices.map((key) => ({ key, value: new Uint8Array(0) }));
const times = (count: number, device: string) => of(...Array<string>(count).fill(device));

test('a request counts against each of its devices, and is taken as a whole or not at all', () => {
  const rates = new ReportRates(10, 5);
  assert.equal(rates.take(of('a', 'b', 'c'), 1_000), undefined);
  assert.equal(rates.take(times(4, 'a'), 1_000), undefined);
  const exceeded = rates.take(of('b', 'a'), 1_000);
  assert.equal(exceeded?.error.code, 'rate_limited');
  assert.match(exceeded!.error.message, /^expected at most 10 reports a second of "a" \(burst 5\), got more/);
  assert.equal(exceeded!.waitMs, 100);
  assert.equal(rates.take(times(4, 'b'), 1_000), undefined, 'the refused request has cost b nothing');
  assert.equal(rates.take(of('a'), 1_100), undefined);
});

test('more reports of a device than its burst are taken after a pause, and then count as they are', () => {
  const rates = new ReportRates(10, 5);
  assert.equal(rates.take(times(20, 'a'), 1_000), undefined);
  assert.equal(rates.take(of('a'), 2_000)?.waitMs, 600);
});

test('the devices are bounded: those with a full burst leave, then the oldest', () => {
  const rates = new ReportRates(1, 10);
  const devices = (from: number, until: number) =>
    of(...Array.from({ length: until - from }, (_, n) => `d${from + n}`));
  assert.equal(rates.take(devices(0, ratedDevicesMax), 1_000), undefined);
  assert.equal(rates.take(devices(ratedDevicesMax, ratedDevicesMax + 2), 1_500), undefined);
  assert.equal(rates.devices, ratedDevicesMax);
  assert.equal(rates.take(devices(0, 1), 60_000), undefined);
  assert.equal(rates.devices, 1);
});
