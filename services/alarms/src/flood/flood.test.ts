import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AlarmQualityCheck } from './alarm-quality.ts';
import { AlarmRate } from './alarm-rate.ts';
import { areaOf, isRateDevice, rateDeviceOf } from './area.ts';

const minuteMs = 60_000;

test('more than 10 alarms in 10 minutes are a flood, until there are fewer than 5', () => {
  const rate = new AlarmRate();
  for (let alarm = 0; alarm < 10; alarm++) assert.equal(rate.raise(alarm * 1_000), undefined);
  assert.equal(rate.raise(10_000), 'started');
  assert.equal(rate.count, 11);
  assert.equal(rate.floodSince, 10_000);
  assert.equal(rate.advance(10 * minuteMs), undefined);
  const dueMs = rate.nextDueMs();
  assert.equal(rate.advance(dueMs - 1), undefined);
  assert.equal(rate.advance(dueMs), 'stopped');
  assert.equal(rate.count, 4);
  assert.equal(rate.nextDueMs(), Number.POSITIVE_INFINITY);
});

test('a flood survives a restart, and alarms that are spread over time are none', () => {
  const rate = new AlarmRate();
  for (let alarm = 0; alarm < 100; alarm++) assert.equal(rate.raise(alarm * minuteMs), undefined);
  for (let alarm = 0; alarm < 5; alarm++) rate.raise(100 * minuteMs);
  const restored = new AlarmRate(JSON.parse(JSON.stringify(rate.state())));
  assert.equal(restored.isFlood, true);
  assert.equal(restored.count, rate.count);
});

test('an alarm that is read late counts at its time', () => {
  const rate = new AlarmRate();
  rate.raise(9 * minuteMs);
  rate.raise(1 * minuteMs);
  rate.advance(12 * minuteMs);
  assert.equal(rate.count, 1);
});

test('the area of a device is above it, at the level of the setting at most', () => {
  assert.equal(areaOf('plant1.line3.press7.motor', 2), 'plant1.line3');
  assert.equal(areaOf('plant1.line3.press7', 1), 'plant1');
  assert.equal(areaOf('home.heating', 2), 'home');
  assert.equal(areaOf('meter', 2), undefined);
  assert.equal(rateDeviceOf('plant1.line3'), 'plant1.line3.alarms');
  assert.equal(isRateDevice('plant1.line3.alarms'), true);
  assert.equal(isRateDevice('plant1.line3'), false);
});

test('three activations in a minute chatter, and one that returns at once is fleeting', () => {
  let check = new AlarmQualityCheck();
  const raised = (time: number) => check.take({ cause: 'raised', time, activated: time });
  const returned = (time: number, activated: number) => check.take({ cause: 'returned', time, activated });
  assert.equal(raised(0), undefined);
  assert.equal(returned(4_999, 0), 'fleeting');
  assert.equal(raised(50_000), undefined);
  assert.equal(returned(55_000, 50_000), undefined);
  check = new AlarmQualityCheck(JSON.parse(JSON.stringify(check.state())));
  assert.equal(raised(60_000), 'chattering');
  assert.equal(raised(300_000), undefined);
});
