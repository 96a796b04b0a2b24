import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommandChecker, type ControlFacts, inFlightMs, type TransitionFacts } from './command-checker.ts';
import { Violations } from './violation.ts';

const device = 'plant.cell1.a';

function createChecker() {
  const violations = new Violations(() => 0);
  let nowMs = 0;
  const checker = new CommandChecker(violations, () => nowMs);
  return {
    checker,
    found: () => violations.list.map(({ facts }) => facts.replace(/^0\.000 s: /, '')),
    pass: (ms: number) => {
      nowMs += ms;
    },
    /** A command that control has accepted, with the ID `id-<key>`. */
    accept(key: string, sender = 'anna', deadline = 60_000) {
      checker.submitted({ key, sender, device, deadline, qos: 1 });
      checker.accepted(key, `id-${key}`);
    },
  };
}

function transitions(key: string, ...states: readonly string[]): TransitionFacts[] {
  return states.map((state, index) => {
    const isFinal = index === states.length - 1;
    return { command: `id-${key}`, key, number: index + 1, state, isFinal };
  });
}

/** What log, store and audit have of these transitions, with changes. */
function factsOf(stored: readonly TransitionFacts[], changes: Partial<ControlFacts> = {}): ControlFacts {
  const entries = stored.map(({ command, number, state }, index) => {
    const details = { command, number };
    const place = { chain: 1, number: index + 1, hash: `h${index}` };
    return { ...place, subject: 'control', action: `command.${state}`, target: device, details };
  });
  return { stored, logged: stored, entries, published: entries, broken: [], unpublished: 0, ...changes };
}

const done = transitions('k', 'accepted', 'sent', 'delivered', 'done');

function executedOnce() {
  const created = createChecker();
  created.accept('k');
  created.checker.received(device, 'id-k');
  created.checker.executed(device, 'id-k', { fence: 0, key: 'k' });
  return created;
}

test('a command that is executed once, and done, violates nothing', () => {
  const { checker, found } = executedOnce();
  checker.result('k', 'done');
  checker.end(factsOf(done));
  assert.deepEqual(found(), []);
});

test('a second execution is found, also under another ID', () => {
  const { checker, found } = executedOnce();
  checker.executed(device, 'id-2', { fence: 0, key: 'k' });
  assert.deepEqual(found(), [`${device} executes k 2 times`]);
});

test('two final states, a gap, and an outcome that the device contradicts are found', () => {
  const { checker, found } = executedOnce();
  const twice = [...done.slice(0, 3), { ...done[3]!, isFinal: true }, { ...done[3]!, number: 5 }];
  checker.end(factsOf(twice));
  assert.equal(found().filter((each) => each.includes('2 final states')).length, 2);
  const gap = executedOnce();
  gap.checker.end(factsOf([done[0]!, ...done.slice(2)]));
  assert.ok(gap.found().some((each) => each.includes('has the states 1 accepted, 3 delivered')));
  const expired = executedOnce();
  expired.checker.end(factsOf(transitions('k', 'accepted', 'expired')));
  assert.deepEqual(expired.found(), [`k is expired, and ${device} has executed it`]);
  const never = createChecker();
  never.accept('k');
  never.checker.end(factsOf(done));
  assert.deepEqual(never.found(), [
    `k is done, and ${device} has not executed it`,
    `k is delivered, and ${device} has not received it`,
  ]);
});

test('a record that is written again is no violation, and a missing one is', () => {
  const again = executedOnce();
  again.checker.end(factsOf(done, { logged: [...done.slice(0, 2), ...done] }));
  assert.deepEqual(again.found(), []);
  const missing = executedOnce();
  missing.checker.end(factsOf(done, { logged: done.slice(0, 3) }));
  assert.ok(missing.found().some((each) => each.includes('has 0 final states in the log')));
});

test('an execution after the deadline, and one with a fence below an earlier one, are found', () => {
  const { checker, found, accept, pass } = createChecker();
  accept('late', 'anna', 1_000);
  accept('old');
  accept('new');
  checker.executed(device, 'id-new', { fence: 7, key: 'new' });
  checker.executed(device, 'id-old', { fence: 6, key: 'old' });
  pass(1_500);
  checker.executed(device, 'id-late', { fence: 0, key: 'late' });
  assert.deepEqual(found(), [
    `${device} executes old with the fence 6, after one with 7`,
    `${device} executes late 500 ms after its deadline`,
  ]);
});

test('commands of others under a lease are found, unless the lease may be void', () => {
  const { checker, found, accept, pass } = createChecker();
  accept('early', 'anna');
  checker.leaseAcknowledged({ scope: 'plant.cell1.>', token: 1, holder: 'bob', until: 100_000 });
  pass(1);
  accept('k1', 'anna');
  accept('k2', 'bob');
  pass(inFlightMs);
  checker.executed(device, 'id-early', { fence: 0, key: 'early' });
  const settled = checker.leaseContested('plant.cell1.a');
  accept('k3', 'anna');
  settled();
  assert.deepEqual(found(), [
    `k1 for ${device} was accepted, although bob has the lease 1`,
    `${device} executes early of anna, and bob has the lease 1 for ${inFlightMs + 1} ms`,
  ]);
});

test('a lease that its holder requests again may be shorter than before', () => {
  const { checker, found, accept, pass } = createChecker();
  checker.leaseAcknowledged({ scope: 'plant.cell1.>', token: 1, holder: 'bob', until: 100_000 });
  checker.leaseRequested('bob', 'plant.cell1.>', 2_000);
  pass(1_999);
  accept('k1', 'anna');
  pass(1);
  accept('k2', 'anna');
  assert.deepEqual(found(), [`k1 for ${device} was accepted, although bob has the lease 1`]);
});

test('what the audit lacks is found', () => {
  const { checker, found } = executedOnce();
  checker.submitted({ key: 'r', sender: 'eve', device, deadline: 1, qos: 1 });
  checker.refused('r');
  checker.leaseRefused('eve', 'plant.cell1.>');
  const facts = factsOf(done);
  checker.end({ ...facts, entries: facts.entries.slice(1), published: facts.published.slice(2) });
  assert.deepEqual(found(), [
    'the topic has nothing of the audit at 1:2, not h1',
    'the audit has no accepted of the command id-k',
    'the audit has no refusal of r',
    'the audit has 0 refusals of eve plant.cell1.>, of 1',
  ]);
});
