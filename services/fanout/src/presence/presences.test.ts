import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Device } from '../channels/device.ts';
import { Presences, stale } from './presences.ts';

test('a device that reports while the idle devices are iterated is skipped, and the iteration continues', () => {
  const presences = new Presences({ of: () => [] }, () => {});
  const devices = Array.from({ length: 10 }, (_, i) => new Device(`p.d${i}`, 0));
  for (const device of devices) presences.setIdle(device, { state: stale, sinceMs: 1, seq: 0 });
  const visited: string[] = [];
  for (const [device] of presences.in(0, 'p.>')) {
    visited.push(device.path);
    if (visited.length === 1) for (const each of devices.slice(4, 6)) presences.reported(each, 1);
  }
  assert.deepEqual(
    visited,
    [0, 1, 2, 3, 6, 7, 8, 9].map((i) => `p.d${i}`),
  );
});
