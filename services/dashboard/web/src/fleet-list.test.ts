import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { type DevicePage, devicesUrl, type ListError } from './device-list-api.ts';
import { FleetList } from './fleet-list.ts';

function setUp(paths: string[]) {
  const clock = createFakeClock();
  const requests: string[] = [];
  const server = { paths, error: undefined as ListError | undefined, missing: [] as number[] };
  const list = new FleetList({
    now: () => clock.monotonic(),
    after: (ms, call) => clock.after(ms, call),
    async requestPage(after, limit) {
      requests.push(`${after ?? ''}/${limit}`);
      if (server.error !== undefined) return { error: server.error };
      const all = [...server.paths].sort();
      const devices = all.filter((path) => path > (after ?? '')).slice(0, limit);
      const last = devices.at(-1);
      const page: DevicePage = {
        devices: devices.map((device) => ({ device, state: 'online' })),
        ...(last === undefined || last === all.at(-1) ? {} : { next: last }),
        ...(after === undefined ? { count: all.length, notOnline: 1 } : {}),
        ...(server.missing.length === 0 ? {} : { missing: server.missing }),
      };
      return { page };
    },
  });
  return { clock, list, server, requests };
}

const fleet = (count: number) => Array.from({ length: count }, (_, n) => `plant.m${n}`);

test('all pages are read once, in the order of the list, and then only the number of devices is polled', async () => {
  const { clock, list, requests } = setUp(fleet(2500));
  await list.check();
  assert.equal(list.paths.value.length, 2500);
  assert.deepEqual(list.paths.value.slice(8, 12), ['plant.m8', 'plant.m9', 'plant.m10', 'plant.m11']);
  assert.deepEqual([list.count.value, list.notOnline.value, list.isComplete.value], [2500, 1, true]);
  assert.equal(requests.length, 3);
  await clock.advance(30_000);
  assert.ok(requests.slice(3).every((each) => each === '/0') && requests.length <= 14, String(requests.slice(3)));
});

test('when the number of devices changes, the list is read again', async () => {
  const { clock, list, server } = setUp(fleet(3));
  await list.check();
  server.paths = [...fleet(2), 'plant.new'];
  await clock.advance(10_000);
  assert.ok(!list.paths.value.includes('plant.new'), 'the number is the same');
  server.paths.push('plant.m7');
  await clock.advance(4000);
  assert.deepEqual(list.paths.value, ['plant.m0', 'plant.m1', 'plant.m7', 'plant.new']);
  server.paths = fleet(4);
  await clock.advance(400_000);
  assert.deepEqual(list.paths.value, fleet(4), 'and every few minutes in any case');
});

test('the first device of an empty list appears within a second', async () => {
  const { clock, list, server } = setUp([]);
  await list.check();
  assert.deepEqual([list.count.value, list.isComplete.value], [0, true]);
  server.paths = ['plant.hello'];
  await clock.advance(1100);
  assert.deepEqual(list.paths.value, ['plant.hello']);
});

test('after a failed request the list stays, the error is shown, and the list is polled again', async () => {
  const { clock, list, server } = setUp(fleet(5));
  await list.check();
  server.error = { code: 'unavailable', message: 'away' };
  await clock.advance(4000);
  assert.deepEqual([list.error.value?.message, list.paths.value.length], ['away', 5]);
  server.error = undefined;
  await clock.advance(4000);
  assert.equal(list.error.value, undefined);
});

test('devices that a server could not list stay in the list', async () => {
  const { clock, list, server } = setUp(fleet(5));
  await list.check();
  server.paths = fleet(3);
  server.missing = [2];
  await clock.advance(4000);
  assert.deepEqual([list.paths.value.length, list.missing.value], [5, 1]);
  server.missing = [];
  await clock.advance(4000);
  assert.deepEqual([list.paths.value.length, list.missing.value], [3, 0]);
});

test('a hidden page does not poll, and polls at once when it is visible again', async () => {
  const { clock, list, server, requests } = setUp(fleet(2));
  await list.check();
  list.show(false);
  server.paths.push('plant.m9');
  const before = requests.length;
  await clock.advance(60_000);
  assert.equal(requests.length, before);
  list.show(true);
  await clock.advance(0);
  assert.equal(list.paths.value.length, 3);
});

test('the list is where the streams are', () => {
  assert.equal(devicesUrl('ws://localhost:8081'), 'http://localhost:8081/v1/devices');
  assert.equal(devicesUrl('wss://a.example/tailrace/v1/stream'), 'https://a.example/tailrace/v1/devices');
});
