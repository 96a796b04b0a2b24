import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FairQueue, Flow } from './fair-queue.ts';

class Named extends Flow {
  readonly name: string;
  used = 0;

  constructor(name: string) {
    super();
    this.name = name;
  }
}

/** Lets the next flow use `cost`, and adds it again. */
function turn(queue: FairQueue<Named>, cost: number): string {
  const flow = queue.take()!;
  queue.charge(flow, cost);
  flow.used += cost;
  queue.add(flow);
  return flow.name;
}

test('the worked example: who has used more waits until the others have, too', () => {
  const queue = new FairQueue<Named>();
  queue.add(new Named('a'));
  queue.add(new Named('b'));
  assert.equal(turn(queue, 5), 'a');
  assert.deepEqual(
    [1, 1, 1].map((cost) => turn(queue, cost)),
    ['b', 'b', 'b'],
  );
  // a waits at 5, b at 3, and virtual time is 2, when b had its last turn.
  queue.add(new Named('c'));
  assert.deepEqual(
    [2, 2, 2, 2].map((cost) => turn(queue, cost)),
    ['c', 'b', 'c', 'a'],
  );
});

test('two flows that both wait get the same, but for one turn of each', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ a: fc.integer({ min: 1, max: 50 }), b: fc.integer({ min: 1, max: 50 }) }), { minLength: 1 }),
      (costs) => {
        const queue = new FairQueue<Named>();
        const [a, b] = [new Named('a'), new Named('b')];
        queue.add(a);
        queue.add(b);
        for (const cost of costs) {
          const flow = queue.take()!;
          const used = flow === a ? cost.a : cost.b;
          queue.charge(flow, used);
          flow.used += used;
          queue.add(flow);
          assert.ok(Math.abs(a.used - b.used) <= 100, `${a.used} and ${b.used}`);
        }
      },
    ),
  );
});

test('a flow that was idle has saved nothing up', () => {
  const queue = new FairQueue<Named>();
  const busy = new Named('busy');
  queue.add(busy);
  for (let i = 0; i < 10; i++) turn(queue, 10);
  queue.add(new Named('late'));
  const turns = Array.from({ length: 6 }, () => turn(queue, 10));
  assert.equal(turns.filter((name) => name === 'late').length, 3);
});

test('a flow that becomes empty and is used again keeps its debt', () => {
  const queue = new FairQueue<Named>();
  const [greedy, other] = [new Named('greedy'), new Named('other')];
  queue.add(other);
  queue.add(greedy);
  turn(queue, 1);
  const taken = queue.take()!;
  assert.equal(taken, greedy);
  queue.charge(greedy, 100);
  // It has nothing to do for a moment.
  queue.add(greedy);
  assert.deepEqual(new Set(Array.from({ length: 9 }, () => turn(queue, 10))), new Set(['other']));
});

test('what was used is forgotten when nothing waits', () => {
  const queue = new FairQueue<Named>();
  const a = new Named('a');
  queue.add(a);
  queue.take();
  queue.charge(a, 1_000);
  assert.equal(queue.isSettled(a), false);
  queue.idle();
  assert.equal(queue.isSettled(a), true);
});

test('flows come out by their tags, however many there are', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 1_000 }), { maxLength: 100 }), (costs) => {
      const queue = new FairQueue<Named>();
      for (const cost of costs) {
        const flow = new Named(`${cost}`);
        queue.charge(flow, cost);
        queue.add(flow);
      }
      const taken: number[] = [];
      for (let flow = queue.take(); flow !== undefined; flow = queue.take()) taken.push(flow.startTag);
      assert.deepEqual(
        taken,
        costs.toSorted((x, y) => x - y),
      );
    }),
  );
});
