import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { type RetryItem, RetryQueue, type RetryQueueLimits } from './retry-queue.ts';

interface Item extends RetryItem {
  readonly name: string;
}

/** A queue and the log of the test, which settles items by name. */
function setUp({ limits, random }: { limits?: RetryQueueLimits; random?: () => number } = {}) {
  const clock = createFakeClock();
  const log = new Map<string, Item>();
  /** What was passed to the log; with `*` if it was refused before. */
  let passed: string[] = [];
  let isBlocked = false;
  const queue = new RetryQueue<Item>({
    append(item, isRetry) {
      log.set(item.name, item);
      passed.push(isRetry ? `${item.name}*` : item.name);
    },
    isBlocked: () => isBlocked,
    ...(limits === undefined ? {} : { limits }),
    clock,
    ...(random === undefined ? {} : { random }),
  });
  const take = (name: string) => {
    const item = log.get(name);
    assert.ok(item !== undefined, `${name}: expected an item that the log has`);
    log.delete(name);
    return item;
  };
  return {
    ...{ clock, queue },
    add: (names: string, bytes = 10) => {
      for (const name of names) queue.add({ name, bytes, order: -1 });
    },
    done: (names: string) => {
      for (const name of names) queue.done(take(name));
    },
    refuse: (names: string) => {
      for (const name of names) queue.refused(take(name));
    },
    block: (value: boolean) => {
      isBlocked = value;
    },
    /** What was passed since the last call. */
    passed: () => {
      const names = passed.join(' ');
      passed = [];
      return names;
    },
  };
}

test('what the log takes is passed at once and needs no timer', () => {
  const { add, done, passed, queue, clock } = setUp();
  add('abc');
  assert.equal(passed(), 'a b c');
  assert.deepEqual([queue.size, queue.bytes, queue.inFlight], [3, 30, 3]);
  done('cab');
  assert.deepEqual([queue.size, queue.bytes, queue.inFlight, clock.pending()], [0, 0, 0, 0]);
});

test('what was refused is appended again in the order of its receipt, and what came meanwhile behind it', async () => {
  const { add, done, refuse, passed, clock, queue } = setUp();
  add('abc');
  passed();
  refuse('c');
  add('d');
  refuse('a');
  assert.equal(queue.isRetrying, true);
  await clock.advance(60_000);
  assert.equal(passed(), '', 'not while the log has one of them');
  done('b');
  await clock.advance(199);
  assert.equal(passed(), '');
  await clock.advance(1);
  assert.equal(passed(), 'a* c* d');
  done('acd');
  assert.deepEqual([queue.size, queue.isRetrying, clock.pending()], [0, false, 0]);
});

test('the wait doubles to two seconds with each refusal, and is 200 ms again when the log has taken an item', async () => {
  const { add, done, refuse, clock, passed } = setUp();
  add('a');
  for (const waitMs of [200, 400, 800, 1_600, 2_000, 2_000]) {
    refuse('a');
    assert.equal(clock.nextInMs(), waitMs);
    await clock.advance(waitMs);
  }
  done('a');
  passed();
  add('b');
  refuse('b');
  assert.equal(clock.nextInMs(), 200);
});

test('a wait is at least half of its upper bound', () => {
  const { add, refuse, clock } = setUp({ random: () => 0 });
  add('a');
  refuse('a');
  assert.equal(clock.nextInMs(), 100);
});

test('while the log is blocked items wait in their order, and are tried every 100 ms', async () => {
  const { add, done, block, clock, passed, queue } = setUp();
  add('a');
  block(true);
  add('bc');
  assert.deepEqual([passed(), queue.size, queue.inFlight], ['a', 3, 1]);
  done('a');
  await clock.advance(1_000);
  assert.equal(passed(), '');
  block(false);
  await clock.advance(100);
  assert.equal(passed(), 'b c');
  done('bc');
  assert.deepEqual([queue.size, clock.pending()], [0, 0]);
});

test('what is blocked when it is to be appended again stays before what came later', async () => {
  const { add, refuse, block, clock, passed } = setUp();
  add('ab');
  refuse('ba');
  add('c');
  block(true);
  passed();
  await clock.advance(200);
  add('d');
  assert.equal(passed(), '');
  block(false);
  await clock.advance(100);
  assert.equal(passed(), 'a b c d');
});

test('a queue is full at its items or its bytes, and still takes what is added', () => {
  const { add, done, queue } = setUp({ limits: { itemsMax: 4, bytesMax: 100 } });
  add('abc');
  assert.equal(queue.isFull, false);
  add('de');
  assert.deepEqual([queue.isFull, queue.size], [true, 5]);
  done('abcd');
  assert.equal(queue.isFull, false);
  add('f', 90);
  assert.deepEqual([queue.isFull, queue.bytes], [true, 100]);
});

test('the oldest item that the log does not have is dropped first', async () => {
  const { add, refuse, clock, passed, queue } = setUp();
  add('abc');
  refuse('cb');
  add('d');
  assert.equal(queue.dropOldest()?.name, 'b');
  assert.equal(queue.dropOldest()?.name, 'c');
  assert.equal(queue.dropOldest()?.name, 'd');
  assert.equal(queue.dropOldest(), undefined, 'the log has the other one');
  assert.deepEqual([queue.size, queue.bytes], [1, 10]);
  passed();
  refuse('a');
  await clock.advance(200);
  assert.equal(passed(), 'a*');
});

test('a drain resolves when the log has all items, and at its deadline in any case', async () => {
  const { add, done, refuse, queue, clock } = setUp();
  await queue.drain(2_000);
  add('ab');
  let isDrained = false;
  const drained = queue.drain(2_000).then(() => {
    isDrained = true;
  });
  refuse('a');
  done('b');
  await clock.advance(200);
  assert.equal(isDrained, false);
  done('a');
  await drained;
  assert.equal(clock.pending(), 0);
  add('c');
  const late = queue.drain(2_000);
  await clock.advance(2_000);
  await late;
  assert.equal(queue.size, 1);
});

test('after a stop nothing is appended again, and what the log still has leaves the queue when it is settled', async () => {
  const { add, refuse, done, queue, clock, passed } = setUp();
  add('abc');
  refuse('a');
  add('d');
  assert.equal(queue.stop(), 2);
  assert.deepEqual([queue.size, clock.pending()], [2, 0]);
  refuse('b');
  done('c');
  assert.equal(queue.size, 0);
  passed();
  add('e');
  assert.equal(passed(), 'e', 'once');
  refuse('e');
  assert.deepEqual([queue.size, clock.pending(), queue.stop()], [0, 0, 0]);
});
