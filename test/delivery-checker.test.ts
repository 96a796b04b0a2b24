import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeliveryChecker, type DeliveryCheckerOptions, type Finding, MissingRanges } from './delivery-checker.ts';

type Report = readonly [device: number, seq: number, counter: number];

const partition = 3;

/** A checker, and what it found: the sum of each finding. */
function createChecker(options: Partial<DeliveryCheckerOptions> = {}) {
  const found: Partial<Record<Finding, number>> = {};
  const facts: string[] = [];
  const missing = new MissingRanges<number>();
  const checker = new DeliveryChecker({
    onFinding: (finding, count, text) => {
      found[finding] = (found[finding] ?? 0) + count;
      facts.push(text);
    },
    nameOf: (device) => `device ${device}`,
    isRepeatAnError: true,
    counters: { missing, takesBackLost: true },
    ...options,
  });
  const deliver = (...reports: readonly Report[]) =>
    reports.map(([device, seq, counter]) => checker.deliver(device, partition, seq, counter, false));
  return { checker, deliver, found, facts, missing };
}

test('reports in order, each once, at growing positions, have no finding', () => {
  const { checker, deliver, found } = createChecker();
  assert.deepEqual(deliver([0, 1, 1], [1, 2, 1], [0, 5, 2], [1, 9, 2]), [true, true, true, true]);
  assert.deepEqual(found, {});
  assert.deepEqual([checker.lastCounter(0), checker.lastSeq(0), checker.partitionOf(0)], [2, 5, partition]);
  assert.deepEqual([checker.lastCounter(7), checker.lastSeq(7)], [0, -1]);
});

test('a gap in the counter is lost, whatever the positions, and the facts name both reports', () => {
  const { deliver, found, facts } = createChecker();
  deliver([0, 1, 1], [0, 2, 4]);
  assert.deepEqual(found, { lost: 2 });
  assert.deepEqual(facts, ['device 0: got 4 at 3:2 after 1 at 3:1']);
});

test('the first report of a device has counter 1, unless it may start at any', () => {
  const { checker, deliver, found } = createChecker();
  deliver([0, 70, 2]);
  assert.deepEqual(found, { lost: 1 });
  checker.deliver(1, partition, 71, 41, true);
  checker.deliver(1, partition, 72, 43, true);
  assert.deepEqual(found, { lost: 2 });
});

test('a gap that a missing range overlaps is missing, and any other is lost', () => {
  const gap: readonly Report[] = [
    [0, 10, 1],
    [0, 20, 4],
  ];
  const foundWith = (range: Parameters<MissingRanges<number>['add']>[0][number]) => {
    const { deliver, found, missing } = createChecker();
    missing.add([range]);
    deliver(...gap);
    return found;
  };
  assert.deepEqual(foundWith({ partition, from: 11, to: 19 }), { missing: 2 });
  assert.deepEqual(foundWith({ partition, from: 1, to: 11 }), { missing: 2 });
  assert.deepEqual(foundWith({ partition, from: 11, to: 19, device: 0 }), { missing: 2 });
  assert.deepEqual(foundWith({ partition, from: 11, to: 19, device: 1 }), { lost: 2 }, 'of another device');
  assert.deepEqual(foundWith({ partition, from: 20, to: 30 }), { lost: 2 }, 'later');
  assert.deepEqual(foundWith({ partition, from: 1, to: 10 }), { lost: 2 }, 'earlier');
  assert.deepEqual(foundWith({ partition: 4, from: 11, to: 19 }), { lost: 2 }, 'of another partition');
});

test('a range includes the positions from its first to its last', () => {
  const ranges = new MissingRanges<string>();
  ranges.add([{ partition, from: 5, to: 6, device: 'a' }]);
  assert.deepEqual(
    [4, 5, 6, 7].map((seq) => ranges.includes('a', partition, seq)),
    [false, true, true, false],
  );
  assert.equal(ranges.includes('b', partition, 5), false);
});

test('ranges above the limit are dropped, the oldest first', () => {
  const ranges = new MissingRanges<string>(2);
  for (const seq of [1, 2, 3]) ranges.add([{ partition, from: seq, to: seq }]);
  assert.deepEqual(
    [1, 2, 3].map((seq) => ranges.includes('a', partition, seq)),
    [false, true, true],
  );
});

test('a counter that was delivered before is a duplicate, at its own position and at a newer one', () => {
  const { deliver, found } = createChecker();
  assert.deepEqual(deliver([0, 1, 1], [0, 1, 1], [0, 2, 2], [0, 3, 1]), [true, false, true, true]);
  assert.deepEqual(found, { duplicate: 2 });
});

test('a report that is delivered after a later one is out of order, and no longer lost', () => {
  const { deliver, found } = createChecker();
  deliver([0, 1, 1], [0, 3, 3], [0, 2, 2]);
  assert.deepEqual(found, { lost: 0, outOfOrder: 1 });
});

test('a lost report that is delivered at a newer position is a duplicate, unless lost reports are taken back', () => {
  const { deliver, found } = createChecker({ counters: { missing: new MissingRanges(), takesBackLost: false } });
  deliver([0, 1, 1], [0, 2, 3], [0, 3, 2]);
  assert.deepEqual(found, { lost: 1, duplicate: 1 });
});

test('a position that is not newer is out of order, even if the counter grows', () => {
  const { deliver, found } = createChecker();
  deliver([0, 10, 1], [0, 9, 2], [0, 10, 3]);
  assert.deepEqual(found, { outOfOrder: 2 });
});

test('where duplicates are no error, a report whose position is not newer is dropped', () => {
  const { checker, deliver, found } = createChecker({ isRepeatAnError: false });
  assert.deepEqual(deliver([0, 1, 1], [0, 2, 2], [0, 1, 1], [0, 2, 2]), [true, true, false, false]);
  assert.deepEqual(found, {});
  assert.equal(checker.lastCounter(0), 2);
});

test('a report without a counter is invalid, and those after it are checked as before', () => {
  const { deliver, found } = createChecker();
  deliver([0, 1, 1], [0, 2, Number.NaN], [0, 3, 0], [0, 4, 3]);
  assert.deepEqual(found, { invalid: 2, lost: 1 });
});

test('without counters only positions are checked', () => {
  const { deliver, found } = createChecker({ counters: undefined });
  deliver([0, 1, 7], [0, 2, 7], [0, 5, 3], [0, 5, 4]);
  assert.deepEqual(found, { outOfOrder: 1 });
});

test('after a rewind positions restart, and counters continue', () => {
  const { checker, deliver, found } = createChecker({ isRepeatAnError: false });
  deliver([0, 100, 1]);
  checker.rewind(0);
  checker.rewind(0, 50);
  assert.deepEqual(deliver([0, 0, 2], [0, 1, 4]), [true, true]);
  assert.deepEqual(found, { lost: 1 });
});
