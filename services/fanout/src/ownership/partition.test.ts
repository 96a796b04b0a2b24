import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLocalNode } from '../../test/localnode.ts';
import { record } from '../../test/records.ts';

test('last values, window and what is under way are copies: the fetch that brought them can go, also where it is a Buffer', () => {
  for (const allocate of [(bytes: number) => new Uint8Array(bytes), (bytes: number) => Buffer.alloc(bytes)]) {
    const { partitions, channels } = createLocalNode();
    const partition = partitions[0]!;
    const channel = channels.open('p.d');
    channel.join(0, 0);
    const tapped: Uint8Array[] = [];
    channel.taps.add({ push: ({ bytes }: { bytes: Uint8Array }) => void tapped.push(bytes) } as never);
    const made = record('p.d', 0, { a: 1 });
    const fetched = allocate(made.value.length + 100);
    fetched.set(made.value, 50);
    partition.accept([{ ...made, value: fetched.subarray(50, 50 + made.value.length) }]);
    fetched.fill(0);
    const [kept] = partition.devices.get('p.d')!.lastValues();
    assert.equal(kept?.report.readings[0]?.value, 1);
    const [recent] = partition.window.since(0);
    assert.equal(recent?.report, kept?.packed, 'one copy serves both');
    assert.notEqual(tapped[0]?.buffer, fetched.buffer);
    assert.deepEqual(tapped, [made.value]);
  }
});
