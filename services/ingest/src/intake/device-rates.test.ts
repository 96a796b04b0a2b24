import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RateLimit } from '@tailrace/platform/rate-limit';
import { DeviceRates } from './device-rates.ts';

const createRates = (tenant = new RateLimit(1_000, 1_000)) =>
  new DeviceRates({ messages: new RateLimit(10, 5), events: new RateLimit(2, 2), tenant });
const newDevice = () => ({ statusTat: 0, eventTat: 0 });

test('a noisy device is limited, by its own rate, and no other device', () => {
  const rates = createRates();
  const [noisy, other] = [newDevice(), newDevice()];
  for (let n = 0; n < 5; n++) assert.equal(rates.takeDevice(noisy, false, 1_000), 0);
  assert.equal(rates.takeDevice(noisy, false, 1_000), 100);
  assert.equal(rates.takeDevice(noisy, false, 1_000), 100, 'a refusal costs nothing');
  assert.equal(rates.takeDevice(other, false, 1_000), 0);
  assert.equal(rates.takeDevice(noisy, false, 1_100), 0);
});

test('an event passes while status messages are rate limited', () => {
  const rates = createRates();
  const device = newDevice();
  while (rates.takeDevice(device, false, 1_000) === 0);
  assert.equal(rates.takeDevice(device, true, 1_000), 0);
  assert.equal(rates.takeDevice(device, true, 1_000), 0);
  assert.equal(rates.takeDevice(device, true, 1_000), 500);
});

test('a batch takes as much as its messages, all or none', () => {
  const rates = createRates();
  const device = newDevice();
  assert.equal(rates.takeDevice(device, false, 1_000, 3), 0);
  assert.equal(rates.takeDevice(device, false, 1_000, 3), 100);
  assert.equal(rates.takeDevice(device, false, 1_000, 2), 0);
});

test('the last tenth of the burst of a tenant is for its events', () => {
  const rates = createRates(new RateLimit(10, 20));
  let accepted = 0;
  while (rates.takeTenant('plant1', false, 1_000) === 0) accepted++;
  assert.equal(accepted, 18);
  assert.equal(rates.takeTenant('plant1', true, 1_000), 0);
  assert.equal(rates.takeTenant('plant1', true, 1_000), 0);
  assert.equal(rates.takeTenant('plant1', true, 1_000), 100);
  assert.equal(rates.takeTenant('plant2', false, 1_000), 0, 'another tenant');
});

test('a tenant with a burst of one may send messages and events', () => {
  const rates = createRates(new RateLimit(10, 1));
  assert.equal(rates.takeTenant('plant1', false, 1_000), 0);
  assert.equal(rates.takeTenant('plant1', false, 1_000), 100);
  assert.equal(rates.takeTenant('plant1', true, 1_100), 0);
});

test('the tenants are bounded: those with a full burst leave, then the oldest', () => {
  const rates = createRates(new RateLimit(1, 10));
  const tenants = (from: number, until: number, nowMs: number) => {
    for (let n = from; n < until; n++) assert.equal(rates.takeTenant(`t${n}`, false, nowMs), 0);
  };
  tenants(0, 10_000, 1_000);
  tenants(10_000, 10_005, 1_500);
  assert.equal(rates.tenants, 10_000);
  tenants(10_005, 10_006, 60_000);
  assert.equal(rates.tenants, 1);
});
