import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tailrace } from '@tailrace/protocol/generated';

const { RelayFrame, Interest, OwnerReply, Subscribe } = tailrace.v1;

test('64-bit integers are numbers, absent ones 0, also where the package long is installed', () => {
  assert.equal(RelayFrame.decode(new Uint8Array()).next, 0);
  const next = Number.MAX_SAFE_INTEGER;
  const frame = RelayFrame.decode(RelayFrame.encode({ next, generation: 2 ** 32 + 5 }).finish());
  assert.equal(frame.next, next);
  assert.equal(frame.generation, 2 ** 32 + 5);
});

test('64-bit integers beyond 2^53 - 1 are rejected', () => {
  const tooHigh = Uint8Array.of(0x28, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10);
  assert.throws(() => RelayFrame.decode(tooHigh), /over 2\^53 - 1/);
  assert.throws(() => RelayFrame.decode(new Uint8Array([0x28, ...new Array(10).fill(0xff), 1])), /invalid varint/);
  assert.throws(() => RelayFrame.decode(Uint8Array.of(0x28, 0x80)), RangeError);
});

test('an absent optional field differs from 0 and false', () => {
  assert.equal(Interest.decode(new Uint8Array()).from, null);
  assert.equal(Interest.decode(Interest.encode({ from: 0 }).finish()).from, 0);
  assert.equal(OwnerReply.decode(new Uint8Array()).missingUntil, null);
  assert.equal(Subscribe.decode(new Uint8Array()).snapshot, null);
  assert.equal(Subscribe.decode(Subscribe.encode({ snapshot: false }).finish()).snapshot, false);
});

test('a decoded message is encoded to the same bytes', () => {
  const bytes = Interest.encode({ channel: 'a.>', from: 5 }).finish();
  assert.deepEqual(Interest.encode(Interest.decode(bytes)).finish(), bytes);
  const absent = Interest.encode({ channel: 'a.>' }).finish();
  assert.deepEqual(Interest.encode(Interest.decode(absent)).finish(), absent);
});
