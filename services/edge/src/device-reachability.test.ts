import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeviceReachability } from './device-reachability.ts';

test('a device is online while one of its tags can be read, and each change is announced once', () => {
  const changes: (readonly [string, boolean])[] = [];
  const tags = ['p.a', 'p.a', 'p.b'].map((device, n) => ({
    ...{ device, tag: `t${n}`, unit: '', filter: undefined, write: undefined },
  }));
  const reachability = new DeviceReachability(tags, (device, isOnline) => changes.push([device, isOnline]));
  const take = (tag: number, quality: 'good' | 'uncertain' | 'bad') =>
    reachability.take({ tag, time: 1, value: 1, quality });
  take(0, 'good');
  take(1, 'bad');
  take(2, 'bad');
  take(0, 'bad');
  take(0, 'bad');
  take(1, 'uncertain');
  take(0, 'good');
  assert.deepEqual(changes, [
    ['p.a', true],
    ['p.b', false],
    ['p.a', false],
    ['p.a', true],
  ]);
});
