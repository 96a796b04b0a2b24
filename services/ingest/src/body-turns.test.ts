import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BodyTurns } from './body-turns.ts';

function setUp() {
  const due: (() => void)[] = [];
  const turns = new BodyTurns((call) => void due.push(call));
  const steps: string[] = [];
  const add = (sender: object, name: string, count: number, onDone = () => {}) => {
    let left = count;
    turns.add(sender, () => {
      steps.push(name);
      if (--left === 0) onDone();
      return left === 0;
    });
  };
  /** Runs one turn of the event loop. Returns the steps that were done in it. */
  const turn = () => {
    steps.length = 0;
    for (const call of due.splice(0)) call();
    return [...steps];
  };
  return { turns, add, turn, due };
}

test('one step is done in a turn, and senders take turns', () => {
  const { add, turn, due } = setUp();
  add({}, 'a', 3);
  add({}, 'b', 2);
  add({}, 'c', 1);
  assert.deepEqual(due.length, 1);
  const done = Array.from({ length: 6 }, () => turn());
  assert.deepEqual(done, [['a'], ['b'], ['c'], ['a'], ['b'], ['a']]);
  assert.equal(due.length, 0, 'without work there is no further turn');
});

test('bodies of one sender keep their order, and take no more turns than those of another', () => {
  const { turns, add, turn } = setUp();
  const [one, other] = [{}, {}];
  add(one, 'first', 2);
  add(one, 'second', 1);
  add(other, 'other', 2);
  const done = Array.from({ length: 5 }, () => turn()).flat();
  assert.deepEqual(done, ['first', 'other', 'first', 'other', 'second']);
  assert.equal(turns.has(one) || turns.has(other), false);
});

test('a body that comes while the last step of the one before runs waits behind it', () => {
  const { turns, add, turn } = setUp();
  const sender = {};
  add(sender, 'first', 1, () => {
    assert.ok(turns.has(sender));
    add(sender, 'second', 1);
  });
  assert.deepEqual([turn(), turn(), turn()], [['first'], ['second'], []]);
  assert.equal(turns.has(sender), false);
});

test('four bodies are started at once, however many senders there are, and the others follow in their order', () => {
  const { add, turn } = setUp();
  for (let sender = 0; sender < 9; sender++) add({}, String(sender), 3);
  const done = Array.from({ length: 27 }, () => turn()[0]!);
  const left = new Map<string, number>();
  for (const name of done) {
    left.set(name, (left.get(name) ?? 3) - 1);
    const started = [...left.values()].filter((steps) => steps > 0).length;
    assert.ok(started <= 4, `${started} at once`);
  }
  assert.deepEqual(done.slice(0, 12).toSorted(), ['0', '0', '0', '1', '1', '1', '2', '2', '2', '3', '3', '3']);
  assert.deepEqual([...left.keys()], ['0', '1', '2', '3', '4', '5', '6', '7', '8']);
});
