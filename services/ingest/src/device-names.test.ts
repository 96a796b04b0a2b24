import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeviceNames } from './device-names.ts';

const limits = (devicesMax: number, devicesPerTenantMax = devicesMax) => ({ devicesMax, devicesPerTenantMax });

test('each name counts once, however often it comes and however much the table has grown', () => {
  const names = new DeviceNames(limits(100_000), [0x1234_5678, 0x9abc_def0]);
  for (let round = 0; round < 2; round++) for (let n = 0; n < 50_000; n++) names.admit(`a.line${n % 7}.d${n}`);
  assert.equal(names.size, 50_000);
  assert.equal(names.mostOfOneTenant, 50_000);
});

test('a name that was refused is refused again, and takes no place', () => {
  const names = new DeviceNames(limits(3, 2), [1, 2]);
  names.admit('a.1');
  names.admit('a.2');
  for (let n = 0; n < 5; n++) assert.throws(() => names.admit('a.3'), { code: 'limit_reached' });
  names.admit('b');
  assert.throws(() => names.admit('b.1'), {
    code: 'limit_reached',
    message: /^device: expected at most 3 devices, got one more: "b\.1"$/,
  });
  names.admit('a.2');
  assert.equal(names.size, 3);
});
