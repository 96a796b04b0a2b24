import assert from 'node:assert/strict';
import { test } from 'node:test';
import { delivery } from '../test/fake-socket.ts';
import { Delivered, devicesRememberedMax } from './delivered.ts';

test('each device has its own sequence', () => {
  const delivered = new Delivered();
  delivered.enter('e1');
  const reports = [delivery(5, 'a'), delivery(3, 'b'), delivery(5, 'a'), delivery(4, 'b')];
  assert.deepEqual(
    delivered.newer(reports).map(({ device, seq }) => `${device}${seq}`),
    ['a5', 'b3', 'b4'],
  );
  assert.equal(delivered.dropped, 1);
});

test('returns the same array where all reports are newer', () => {
  const reports = [delivery(1), delivery(2)];
  assert.equal(new Delivered().newer(reports), reports);
});

test('remembers a bounded number of devices', () => {
  const delivered = new Delivered();
  for (let device = 0; device <= devicesRememberedMax; device++) delivered.newer([delivery(1, `d${device}`)]);
  assert.equal(delivered.newer([delivery(1, `d${devicesRememberedMax}`)]).length, 0);
  assert.equal(delivered.newer([delivery(1, 'd0')]).length, 1, 'the first was evicted');
});
