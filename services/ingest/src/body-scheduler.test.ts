import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { BodyScheduler } from './body-scheduler.ts';

function setUp() {
  const bodies = new BodyScheduler();
  const steps: string[] = [];
  const add = (sender: object, name: string, count: number, onDone = () => {}) => {
    let left = count;
    bodies.add(sender, () => {
      steps.push(name);
      if (--left === 0) onDone();
      return left === 0;
    });
  };
  /** Waits for one turn of the event loop. Returns the steps that were done in it. */
  const turn = async () => {
    steps.length = 0;
    await setImmediate();
    return [...steps];
  };
  /** Returns the steps of this many turns, one after the other. */
  const turns = async (count: number) => {
    const done: string[][] = [];
    while (done.length < count) done.push(await turn());
    return done;
  };
  return { bodies, add, turns };
}

/** Returns how many calls wait for the next turn of the event loop. */
const callsDue = () => process.getActiveResourcesInfo().filter((type) => type === 'Immediate').length;

test('each turn of the event loop runs one step, and senders alternate', async () => {
  const { bodies, add, turns } = setUp();
  add({}, 'a', 3);
  add({}, 'b', 2);
  add({}, 'c', 1);
  assert.equal(callsDue(), 1);
  assert.equal(bodies.senders, 3);
  assert.deepEqual(await turns(6), [['a'], ['b'], ['c'], ['a'], ['b'], ['a']]);
  assert.equal(callsDue(), 0, 'without work there is no further turn');
  assert.equal(bodies.senders, 0);
});

test('bodies of one sender keep their order, and get no more steps than those of another', async () => {
  const { bodies, add, turns } = setUp();
  const [one, other] = [{}, {}];
  add(one, 'first', 2);
  add(one, 'second', 1);
  add(other, 'other', 2);
  assert.deepEqual((await turns(5)).flat(), ['first', 'other', 'first', 'other', 'second']);
  assert.equal(bodies.has(one) || bodies.has(other), false);
});

test('a body that is received while the last step of the one before runs waits for it', async () => {
  const { bodies, add, turns } = setUp();
  const sender = {};
  add(sender, 'first', 1, () => {
    assert.ok(bodies.has(sender));
    add(sender, 'second', 1);
  });
  assert.deepEqual(await turns(3), [['first'], ['second'], []]);
  assert.equal(bodies.has(sender), false);
});

test('four bodies are started at once, however many senders there are, and the others follow in their order', async () => {
  const { add, turns } = setUp();
  for (let sender = 0; sender < 9; sender++) add({}, String(sender), 3);
  const done = (await turns(27)).flat();
  const left = new Map<string, number>();
  for (const name of done) {
    left.set(name, (left.get(name) ?? 3) - 1);
    const started = [...left.values()].filter((steps) => steps > 0).length;
    assert.ok(started <= 4, `${started} at once`);
  }
  assert.deepEqual(done.slice(0, 12).toSorted(), ['0', '0', '0', '1', '1', '1', '2', '2', '2', '3', '3', '3']);
  assert.deepEqual([...left.keys()], ['0', '1', '2', '3', '4', '5', '6', '7', '8']);
});
