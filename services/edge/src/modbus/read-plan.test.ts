import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import { gapLength, type ReadBlock, type ReadItem, readPlan, splitBlock } from './read-plan.ts';

const seeded = fuzzed();

/** Returns items by `[start, length]`. */
function items(...ranges: readonly (readonly [number, number])[]): ReadItem[] {
  return ranges.map(([start, length], index) => ({ index, start, length }));
}

const ranges = (blocks: readonly ReadBlock[]) => blocks.map(({ start, length }) => [start, length]);
const limits = { lengthMax: 125, gapMax: 16 };

test('adjacent registers share a request, in the order of their addresses', () => {
  assert.deepEqual(ranges(readPlan(items([4, 2], [0, 2], [2, 2]), limits)), [[0, 6]]);
});

test('a gap up to the limit is read as well, a larger one starts another request', () => {
  assert.deepEqual(ranges(readPlan(items([0, 1], [17, 1]), limits)), [[0, 18]]);
  assert.deepEqual(ranges(readPlan(items([0, 1], [18, 1]), limits)), [
    [0, 1],
    [18, 1],
  ]);
  assert.deepEqual(ranges(readPlan(items([0, 1], [2, 1]), { lengthMax: 125, gapMax: 0 })), [
    [0, 1],
    [2, 1],
  ]);
});

test('a request has at most 125 registers, and no value is in two requests', () => {
  assert.deepEqual(ranges(readPlan(items([0, 125], [125, 1]), limits)), [
    [0, 125],
    [125, 1],
  ]);
  assert.deepEqual(ranges(readPlan(items([0, 124], [124, 2]), limits)), [
    [0, 124],
    [124, 2],
  ]);
});

test('a forbidden register is never in a gap', () => {
  const forbidden = [[5, 6]] as const;
  assert.deepEqual(ranges(readPlan(items([0, 5], [6, 2]), { ...limits, forbidden })), [
    [0, 5],
    [6, 2],
  ]);
  assert.deepEqual(ranges(readPlan(items([0, 2], [3, 2]), { ...limits, forbidden })), [[0, 5]]);
});

test('a refused block is split into its parts without gaps, then into halves, down to single values', () => {
  const [block] = readPlan(items([0, 2], [2, 2], [10, 2], [12, 2]), limits);
  assert.equal(gapLength(block!), 6);
  const parts = splitBlock(block!)!;
  assert.deepEqual(ranges(parts), [
    [0, 4],
    [10, 4],
  ]);
  assert.deepEqual(ranges(splitBlock(parts[0]!)!), [
    [0, 2],
    [2, 2],
  ]);
  assert.equal(splitBlock(splitBlock(parts[0]!)![0]!), undefined);
});

test('bits of one register stay together when a block is split', () => {
  const [block] = readPlan(items([7, 1], [7, 1], [7, 1], [8, 1]), limits);
  const parts = splitBlock(block!)!;
  assert.deepEqual(
    parts.map(({ items: own }) => own.length),
    [3, 1],
  );
  assert.equal(splitBlock(parts[0]!), undefined);
});

const item = fc.record({
  index: fc.nat(),
  start: fc.integer({ min: 0, max: 400 }),
  length: fc.integer({ min: 1, max: 8 }),
});
const plan = fc.record({ all: fc.array(item, { maxLength: 60 }), gapMax: fc.integer({ min: 0, max: 20 }) });

function assertComplete(blocks: readonly ReadBlock[], all: readonly ReadItem[]): void {
  const read = blocks.flatMap(({ items: own }) => own);
  assert.equal(read.length, all.length);
  assert.deepEqual(new Set(read), new Set(all));
  for (const block of blocks) {
    assert.ok(block.length <= 125);
    for (const { start, length } of block.items) {
      assert.ok(start >= block.start && start + length <= block.start + block.length);
    }
  }
}

test('every plan reads each value once, whole, within the limits', () => {
  fc.assert(
    fc.property(plan, ({ all, gapMax }) => {
      const blocks = readPlan(all, { lengthMax: 125, gapMax });
      assertComplete(blocks, all);
      for (const block of blocks) assert.ok(block.items.length > 0);
    }),
    seeded,
  );
});

test('every split leads to single addresses, and loses none', () => {
  fc.assert(
    fc.property(plan, ({ all, gapMax }) => {
      let open = readPlan(all, { lengthMax: 125, gapMax });
      const single: ReadBlock[] = [];
      for (let step = 0; open.length > 0; step++) {
        assert.ok(step < 20, 'the splits stop');
        open = open.flatMap((block) => {
          const parts = splitBlock(block);
          if (parts === undefined) single.push(block);
          return parts ?? [];
        });
      }
      assertComplete(single, all);
      for (const { items: own } of single) {
        for (const { start, length } of own) assert.deepEqual([start, length], [own[0]!.start, own[0]!.length]);
      }
    }),
    seeded,
  );
});
