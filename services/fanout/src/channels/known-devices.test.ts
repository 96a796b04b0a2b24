import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deviceLimits } from '../../test/device-limits.ts';
import { KnownDevices } from './device.ts';

function admitted(known: KnownDevices, tenant: string, count: number): number {
  let taken = 0;
  for (let n = 0; n < count; n++) if (known.admit(`${tenant}.d${n}`) !== undefined) taken++;
  return taken;
}

test('known devices are limited, of a tenant and in all', () => {
  const known = new KnownDevices({ ...deviceLimits, devicesMax: 100, devicesPerTenantMax: 40 });
  assert.deepEqual(
    ['a', 'b', 'c'].map((tenant) => admitted(known, tenant, 50)),
    [40, 40, 20],
  );
  assert.deepEqual([known.size, known.mostOfOneTenant, known.counts.refused], [100, 40, 50]);
});

test('a single tenant takes two thirds of the memory, and there is some for another', () => {
  const known = new KnownDevices({ ...deviceLimits, lastValuesBytesMax: 1_000_000 });
  admitted(known, 'a', 5_000);
  assert.ok(known.bytes > 650_000 && known.bytes <= 667_000, `${known.bytes}`);
  const before = known.bytes;
  admitted(known, 'b', 5_000);
  assert.ok(known.bytes - before > 200_000, `${known.bytes}`);
  assert.ok(known.bytes <= 1_000_000);
});

test('a device that is removed frees its place', () => {
  const known = new KnownDevices({ ...deviceLimits, devicesMax: 1 });
  const share = known.admit('a.1')!;
  known.take(share, 500);
  assert.equal(known.admit('b.1'), undefined);
  known.leave(share, 500);
  assert.deepEqual([known.size, known.bytes, known.mostOfOneTenant], [0, 0, 0]);
  assert.ok(known.admit('b.1'));
});

test('a fork has the remaining capacity, and uses none of the original', () => {
  const known = new KnownDevices({ ...deviceLimits, devicesMax: 5, devicesPerTenantMax: 3 });
  admitted(known, 'a', 2);
  const fork = known.fork();
  assert.deepEqual([admitted(fork, 'a', 5), admitted(fork, 'b', 5)], [1, 2]);
  assert.equal(known.size, 2);
});
