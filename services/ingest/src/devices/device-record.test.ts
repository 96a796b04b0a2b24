import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeviceRecords, idleRecordsMax } from './device-record.ts';
import { IdRing } from './id-ring.ts';
import type { LoggedIds } from './log-lookback.ts';

const limits = { recentIds: 4, recentIdBytesMax: 2 * 4 * 8 };

test('a device is remembered for an hour after its last session', () => {
  const records = new DeviceRecords(limits);
  const record = records.enter('plant1.a', 0);
  records.remember(record, 'x');
  records.sweep(10_000_000);
  assert.equal(records.enter('plant1.a', 10_000_000), record);
  records.leave(record, 10_000_000);
  records.leave(record, 10_000_000);
  records.sweep(13_599_999);
  records.sweep(13_599_999);
  assert.equal(records.size, 1);
  records.sweep(13_600_000);
  records.sweep(13_600_000);
  assert.deepEqual([records.size, records.recentIdBytes], [0, 0]);
});

test('a device that only a gateway has named is forgotten when its rate limits have recovered', () => {
  const records = new DeviceRecords(limits);
  records.find('plant1.a', 0)!.statusTat = 500;
  records.sweep(499);
  assert.equal(records.size, 1);
  records.sweep(500);
  records.sweep(500);
  assert.equal(records.size, 0);
});

test('a device with messages that wait for the log is not forgotten', () => {
  const records = new DeviceRecords(limits);
  const record = records.find('plant1.a', 0)!;
  record.unsettled = 1;
  records.sweep(10_000_000);
  assert.equal(records.size, 1);
});

test('what another node has of a device arrives later, and what was read back is forgotten', async () => {
  const records = new DeviceRecords(limits);
  const record = records.enter('plant1.a', 0);
  const former = new IdRing(2);
  former.add('m1');
  const logged = { untilMs: 500 } as LoggedIds;
  records.arrive(record, Promise.resolve({ recentIds: former.hashes(), lastSeq: 7, logged }));
  assert.ok(record.arriving !== undefined);
  await record.arriving;
  assert.deepEqual(
    [record.arriving, record.recent?.has('m1'), record.lastSeq, record.logged],
    [undefined, true, 7, logged],
  );
  records.sweep(500);
  assert.equal(record.logged, undefined);
});

test('the IDs of the device whose session is longest ago are forgotten at the limit of memory', () => {
  const records = new DeviceRecords(limits);
  const [a, b, c] = ['a', 'b', 'c'].map((name) => records.enter(`plant1.${name}`, 0));
  records.remember(a!, 'x');
  records.remember(b!, 'x');
  // A new session: it is not the oldest any more.
  records.enter('plant1.a', 1);
  records.remember(c!, 'x');
  assert.deepEqual([a!.recent?.has('x'), b!.recent, c!.recent?.has('x')], [true, undefined, true]);
  assert.equal(records.recentIdBytes, limits.recentIdBytesMax);
});

test('devices that gateways name take bounded memory, and a session always has a record', () => {
  const records = new DeviceRecords(limits);
  for (let device = 0; device < idleRecordsMax; device++) records.find(`plant1.d${device}`, 0);
  assert.equal(records.find('plant1.one-more', 0), undefined);
  assert.equal(records.enter('plant1.one-more', 0).path, 'plant1.one-more');
});

test('what another node remembers of a device is known here', () => {
  const [here, there] = [new DeviceRecords(limits), new DeviceRecords(limits)];
  const record = there.enter('plant1.a', 0);
  there.remember(record, 'x');
  const own = here.enter('plant1.a', 0);
  here.seed(own, record.recent!.hashes());
  assert.ok(own.recent?.has('x'));
});
