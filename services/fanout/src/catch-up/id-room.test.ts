import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IdRoom } from './id-room.ts';

/** Memory of which so many bytes are free. */
function memoryOf(free: number) {
  const memory = {
    free,
    grow(bytes: number) {
      if (bytes > memory.free) return false;
      memory.free -= bytes;
      return true;
    },
  };
  return memory;
}

test('IDs take what is reserved for them first, then what is free', () => {
  const memory = memoryOf(1_000);
  const room = new IdRoom(500, memory);
  assert.equal(room.grow(400), true);
  assert.equal(memory.free, 1_000);
  assert.equal(room.grow(600), true);
  assert.deepEqual([memory.free, room.isShort], [400, false]);
});

test('a reading that was short of memory for IDs has twice as much as it asked for reserved the next time', () => {
  const room = new IdRoom(0, memoryOf(100_000));
  assert.deepEqual([room.grow(90_000), room.grow(30_000), room.grow(5_000)], [true, false, true]);
  assert.deepEqual([room.isShort, room.nextBytes], [true, 240_000]);
  const little = new IdRoom(0, memoryOf(0));
  little.grow(512);
  assert.equal(little.nextBytes, 65_536);
});
