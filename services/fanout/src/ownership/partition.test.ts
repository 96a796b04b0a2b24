import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLocalNode } from '../../test/localnode.ts';
import { record } from '../../test/records.ts';

test('last values and window are copies: the fetch that brought them can go', () => {
  const { partitions } = createLocalNode();
  const partition = partitions[0]!;
  const made = record('p.d', 0, { a: 1 });
  const fetched = new Uint8Array(made.value.length + 100);
  fetched.set(made.value, 50);
  partition.accept([{ ...made, value: fetched.subarray(50, 50 + made.value.length) }]);
  fetched.fill(0);
  const [kept] = partition.devices.get('p.d')!.lastValues();
  assert.equal(kept?.report.readings[0]?.value, 1);
  assert.equal(kept?.bytes.buffer.byteLength, made.value.length);
  const [recent] = partition.window.since(0);
  assert.equal(recent?.bytes, kept?.bytes, 'one copy serves both');
});
