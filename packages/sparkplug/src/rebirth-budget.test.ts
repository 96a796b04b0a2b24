import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import { defaultRebirthLimits, RebirthBudget } from './rebirth-budget.ts';

/** Calls `takeDue` every 100 ms until `endMs`. Returns the time of each request by node. */
function run(budget: RebirthBudget<string>, startMs: number, endMs: number): [number, string][] {
  const sent: [number, string][] = [];
  for (let nowMs = startMs; nowMs <= endMs; nowMs += 100)
    for (const { node } of budget.takeDue(nowMs)) sent.push([nowMs, node]);
  return sent;
}

test('a node is asked at once, with its first cause', () => {
  const budget = new RebirthBudget<string>();
  budget.need('n', 'gap', 0);
  budget.need('n', 'unknown_alias', 0);
  assert.deepEqual(budget.takeDue(0), [{ node: 'n', cause: 'gap' }]);
  assert.deepEqual(budget.takeDue(0), []);
});

test('a node that does not answer is asked after 2, 4, 8 … s, at most every 300 s', () => {
  const budget = new RebirthBudget<string>();
  budget.need('n', 'gap', 0);
  const seconds = run(budget, 0, 1_500_000).map(([ms]) => ms / 1_000);
  assert.deepEqual(seconds, [0, 2, 6, 14, 30, 62, 126, 254, 510, 810, 1_110, 1_410]);
});

test('a node is asked at most once a second over all causes', () => {
  const budget = new RebirthBudget<string>();
  const sent: number[] = [];
  // It answers each request at once, and is stable in between.
  for (let nowMs = 0; nowMs < 10_000; nowMs += 50) {
    budget.need('n', 'gap', nowMs);
    for (const _ of budget.takeDue(nowMs)) {
      sent.push(nowMs);
      budget.satisfied('n', nowMs);
    }
  }
  for (const [index, ms] of sent.entries()) if (index > 0) assert.ok(ms - sent[index - 1]! >= 1_000, String(ms));
});

test('births that do not help are requested at growing intervals, and a stable node starts again', () => {
  const budget = new RebirthBudget<string>();
  const sent: number[] = [];
  for (let nowMs = 0; nowMs < 30_000; nowMs += 100) {
    budget.need('n', 'unknown_alias', nowMs);
    for (const _ of budget.takeDue(nowMs)) {
      sent.push(nowMs);
      budget.satisfied('n', nowMs);
    }
  }
  assert.deepEqual(sent, [0, 2_000, 6_000, 14_000]);
  budget.need('n', 'gap', 30_000);
  budget.satisfied('n', 30_000);
  budget.need('n', 'gap', 30_000 + defaultRebirthLimits.stableMs);
  assert.equal(budget.takeDue(30_000 + defaultRebirthLimits.stableMs).length, 1);
});

test('asks each of 1,000 nodes after a restart, 50 in any second together', () => {
  const budget = new RebirthBudget<string>();
  for (let at = 0; at < 1_000; at++) budget.need(`n${at}`, 'unknown_node', 0);
  const sent: [number, string][] = [];
  for (let nowMs = 0; nowMs <= 25_000; nowMs += 100)
    for (const { node } of budget.takeDue(nowMs)) {
      sent.push([nowMs, node]);
      budget.satisfied(node, nowMs);
    }
  assert.equal(sent.length, 1_000);
  assert.equal(new Set(sent.map(([, node]) => node)).size, 1_000);
  assert.ok(sent.at(-1)![0] <= 20_000, String(sent.at(-1)![0]));
  for (let at = 50; at < sent.length; at++) assert.ok(sent[at]![0] - sent[at - 50]![0] >= 1_000);
  assert.equal(budget.heldBack, 950, 'each of the others once');
  assert.equal(budget.waiting, 0);
});

test('a node that was not asked yet comes before those that do not answer', () => {
  const budget = new RebirthBudget<string>({ ...defaultRebirthLimits, perSecondMax: 1 });
  budget.need('old', 'gap', 0);
  assert.deepEqual(run(budget, 0, 0), [[0, 'old']]);
  budget.need('new', 'gap', 2_000);
  assert.deepEqual(run(budget, 2_000, 2_000), [[2_000, 'old']]);
  assert.deepEqual(run(budget, 3_000, 4_000), [[3_000, 'new']]);
});

test('a request that waits for the share of its owner is held back, once', () => {
  const budget = new RebirthBudget<string>({ ...defaultRebirthLimits, perSecondMax: 4 }, (node) => node[0]!);
  for (const node of ['a1', 'a2', 'a3', 'a4', 'b1']) budget.need(node, 'gap', 0);
  assert.deepEqual(run(budget, 0, 900), [
    [0, 'a1'],
    [0, 'a2'],
    [0, 'b1'],
  ]);
  assert.equal(budget.heldBack, 2);
});

test('a satisfied or forgotten node is not asked', () => {
  const budget = new RebirthBudget<string>();
  budget.need('a', 'gap', 0);
  budget.need('b', 'gap', 0);
  budget.satisfied('a', 0);
  budget.forget('b');
  assert.deepEqual(budget.takeDue(0), []);
  budget.satisfied('c', 0);
});

test('at nodesMax further nodes wait, counted, until others are stable', () => {
  const budget = new RebirthBudget<string>({ ...defaultRebirthLimits, nodesMax: 2 });
  budget.need('a', 'gap', 0);
  budget.need('b', 'gap', 0);
  budget.need('c', 'gap', 0);
  assert.equal(budget.heldBack, 1);
  assert.deepEqual(
    budget.takeDue(0).map(({ node }) => node),
    ['a', 'b'],
  );
  budget.satisfied('a', 0);
  budget.need('c', 'gap', defaultRebirthLimits.stableMs);
  assert.ok(budget.takeDue(defaultRebirthLimits.stableMs).some(({ node }) => node === 'c'));
});

test('property: the limits hold for any order of causes and answers', () => {
  const event = fc.record({
    node: fc.nat({ max: 5 }),
    kind: fc.constantFrom('need', 'satisfied'),
    ms: fc.nat({ max: 900 }),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 200 }), (events) => {
      const budget = new RebirthBudget<number>({ ...defaultRebirthLimits, perSecondMax: 3 });
      const sent: [number, number][] = [];
      let nowMs = 0;
      for (const { node, kind, ms } of events) {
        nowMs += ms;
        if (kind === 'need') budget.need(node, 'gap', nowMs);
        else budget.satisfied(node, nowMs);
        for (const request of budget.takeDue(nowMs)) sent.push([nowMs, request.node]);
      }
      for (let at = 3; at < sent.length; at++) assert.ok(sent[at]![0] - sent[at - 3]![0] >= 1_000);
      for (let node = 0; node <= 5; node++) {
        const times = sent.filter(([, each]) => each === node).map(([ms]) => ms);
        for (let at = 1; at < times.length; at++) assert.ok(times[at]! - times[at - 1]! >= 1_000);
      }
    }),
    fuzzed(),
  );
});

test('one owner gets half of the requests of a second: the node of another one does not wait behind all of its nodes', () => {
  const limits = { ...defaultRebirthLimits, perSecondMax: 10, nodesMax: 1_000 };
  const budget = new RebirthBudget<string>(limits, (node) => node.split('.')[0]!);
  for (let n = 0; n < 500; n++) budget.need(`hostile.n${n}`, 'gap', 1_000);
  budget.need('honest.n1', 'gap', 1_000);
  const first = budget.takeDue(1_000).map(({ node }) => node);
  assert.deepEqual([first.length, first.at(-1)], [6, 'honest.n1']);
  assert.equal(budget.takeDue(1_900).length, 0);
  assert.equal(budget.takeDue(2_000).length, 5);
});
