import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import { FairBuffer } from './fair-buffer.ts';

const bytesMax = 1_000;

function start(clients: number) {
  const calls: string[] = [];
  const all = Array.from({ length: clients }, (_, index) => ({ name: `c${index}`, bytes: 0, isPaused: false }));
  const buffer = new FairBuffer<(typeof all)[number]>({
    bytesMax,
    onPause: ({ name }) => calls.push(`pause ${name}`),
    onResume: ({ name }) => calls.push(`resume ${name}`),
  });
  return { buffer, calls, all };
}

test('one client alone is paused at half of the bound, and goes on when it holds half of what is free', () => {
  const { buffer, calls, all } = start(2);
  const [noisy, quiet] = all;
  for (let n = 0; n < 50; n++) buffer.hold(noisy!, 10);
  assert.deepEqual(calls, []);
  buffer.hold(noisy!, 10);
  assert.deepEqual(calls, ['pause c0']);
  buffer.hold(quiet!, 10);
  assert.deepEqual(calls, ['pause c0'], 'another client is not paused');
  buffer.release(noisy!, 170);
  buffer.resumeDue();
  assert.deepEqual(calls, ['pause c0'], '340 are more than half of 650');
  buffer.release(noisy!, 20);
  buffer.resumeDue();
  assert.deepEqual(calls, ['pause c0', 'resume c0']);
  assert.equal(buffer.used, 330);
});

test('n noisy clients get one part in n + 1 each', () => {
  const { buffer, all } = start(4);
  for (let n = 0; n < bytesMax; n++) for (const client of all) if (!client.isPaused) buffer.hold(client, 1);
  for (const { bytes } of all) assert.ok(bytes >= 199 && bytes <= 201, `${bytes}`);
});

test('a client that is gone is not resumed, and what it held is free when it is released', () => {
  const { buffer, calls, all } = start(1);
  const [client] = all;
  buffer.hold(client!, 600);
  buffer.remove(client!);
  buffer.release(client!, 600);
  buffer.resumeDue();
  assert.deepEqual([calls, buffer.used, buffer.paused], [['pause c0'], 0, 0]);
});

test('whatever the order, all clients are resumed when nothing is held', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(3), fc.integer({ min: -200, max: 200 }))), (steps) => {
      const { buffer, all } = start(4);
      for (const [index, bytes] of steps) {
        const client = all[index]!;
        if (bytes >= 0) buffer.hold(client, bytes);
        else buffer.release(client, Math.min(-bytes, client.bytes));
        buffer.resumeDue();
        assert.equal(
          buffer.used,
          all.reduce((sum, each) => sum + each.bytes, 0),
        );
      }
      for (const client of all) buffer.release(client, client.bytes);
      buffer.resumeDue();
      assert.deepEqual([buffer.used, buffer.paused], [0, 0]);
    }),
    fuzzed(),
  );
});
