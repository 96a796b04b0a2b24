import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPositions } from '@tailrace/protocol/position';
import { Checker, type Publication } from './checker.ts';
import { type Invariant, Violations } from './violation.ts';
import { WireChecker, type WireMessage } from './wire-checker.ts';

function createChecker() {
  const violations = new Violations(() => 0);
  let nowMs = 0;
  const checker = new Checker(violations, () => nowMs, 1_000);
  const found = (): Invariant[] => violations.list.map(({ invariant }) => invariant);
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { checker, found, pass };
}

const report = (seq: number, value = seq, device = 'p.m'): Publication => ({ device, partition: 0, seq, value });
const from = (last: number) => createPositions('e', [[0, last]]);

/** Values 0 to 5 are at these positions; a subscription starts after 1. */
function watching() {
  const { checker, found } = createChecker();
  for (let seq = 0; seq <= 5; seq++) checker.appended(report(seq));
  const watch = checker.watch('c', 'p.>');
  watch.subscribed(from(1));
  return { checker, watch, found };
}

test('a subscription that received the last value and everything after it is complete', () => {
  const { checker, watch, found } = watching();
  watch.receive([report(1), report(2), report(3), report(4), report(5)]);
  checker.end();
  assert.deepEqual(found(), []);
});

test('a report that is not delivered is found, whether it is the first, one between or the last', () => {
  for (const omitted of [1, 3, 5]) {
    const { checker, watch, found } = watching();
    watch.receive([1, 2, 3, 4, 5].filter((seq) => seq !== omitted).map((seq) => report(seq)));
    if (omitted === 1) for (const seq of [2, 3]) assert.ok(watch.seqsOf('p.m')?.has(seq));
    checker.end();
    // A live report that the server had by then replaces the old last value.
    assert.deepEqual(found(), omitted === 1 ? [] : ['I3 completeness']);
  }
});

test('a last value without a later report must be delivered', () => {
  const { checker, found } = createChecker();
  checker.appended(report(0));
  checker.watch('c', 'p.>').subscribed(from(0));
  checker.end();
  assert.deepEqual(found(), ['I3 completeness']);
});

test('a late report is no last value: the newer one before must be delivered', () => {
  const { checker, found } = createChecker();
  checker.appended({ ...report(0), effectiveMs: 5 });
  checker.appended({ ...report(1), effectiveMs: 3 });
  const watch = checker.watch('c', 'p.>');
  watch.subscribed(from(1));
  watch.receive([report(1)]);
  checker.end();
  assert.deepEqual(found(), ['I3 completeness']);
});

test('what is sent as missing need not be delivered, and no more than that', () => {
  const { checker, watch, found } = watching();
  watch.addMissing([{ partition: 0, from: 2, to: 3 }]);
  watch.receive([report(1), report(5)]);
  checker.end();
  assert.deepEqual(found(), ['I3 completeness']);
});

test('a range of one device excuses nothing of another', () => {
  const { checker, watch, found } = watching();
  watch.addMissing([{ partition: 0, from: 2, to: 4, device: 'p.other' }]);
  watch.receive([report(1), report(5)]);
  checker.end();
  assert.equal(found().length, 3);
});

test('a stopped subscription must have everything up to its last report, and nothing after it', () => {
  const { checker, watch, found } = watching();
  watch.receive([report(1), report(2), report(4)]);
  watch.isUnsubscribed = true;
  checker.end();
  assert.deepEqual(found(), ['I3 completeness']);
});

test('a position that does not grow is an error of order', () => {
  const { watch, found } = watching();
  watch.receive([report(2), report(2), report(1)]);
  assert.deepEqual(found(), ['I2 order', 'I2 order']);
});

test('a value that was appended again within the window is delivered once, with its first position; after the window it is a new report', () => {
  const { checker, found, pass } = createChecker();
  const watch = checker.watch('c', 'p.m');
  watch.subscribed(from(0));
  checker.appended(report(1, 7));
  pass(1_000);
  checker.appended(report(2, 7));
  pass(1_251);
  checker.appended(report(3, 7));
  watch.receive([report(1, 7), report(3, 7)]);
  checker.end();
  assert.deepEqual(found(), []);
  const late = checker.watch('d', 'p.m');
  late.subscribed(from(0));
  late.receive([report(2, 7)]);
  assert.deepEqual(found(), ['I1 once per ID']);
});

test('a device outside the channel is an error of isolation', () => {
  const { watch, found } = watching();
  watch.receive([report(1, 1, 'q.m')]);
  assert.deepEqual(found(), ['I6 isolation']);
});

/** Connections of two clients to one node, each on view 1. */
function wires() {
  const violations = new Violations(() => 0);
  const wire = new WireChecker(violations);
  const connect = (client: string) => {
    const connection = wire.connection(client, 'n#1', ['p.>']);
    const take = (message: WireMessage, isPublished: boolean) =>
      connection.take(JSON.stringify(message), message, isPublished);
    const messageOf = (seqs: readonly number[], extra: object, device: string): WireMessage => ({
      data: {
        view: 1,
        reports: seqs.map((seq) => ({ device, partition: 0, seq, readings: [{ value: seq }] })),
        ...extra,
      },
    });
    take({ subscribed: { id: 's', view: 1, position: '' } }, false);
    return {
      data: (seqs: readonly number[], extra: object = {}, device = 'p.m') => take(messageOf(seqs, extra, device), true),
      own: (seqs: readonly number[], device = 'p.m') => take(messageOf(seqs, {}, device), false),
    };
  };
  return { wire, connect, found: () => violations.list.map(({ invariant }) => invariant) };
}

test('clients of one view that get the same frames agree, wherever each starts', () => {
  const { wire, connect, found } = wires();
  const [a, b] = [connect('a'), connect('b')];
  for (const seq of [1, 2, 3]) a.data([seq]);
  for (const seq of [2, 3, 4]) b.data([seq]);
  wire.end();
  assert.deepEqual(found(), []);
});

test('a client of a view that does not get a frame does not agree with the others', () => {
  const { wire, connect, found } = wires();
  const [a, b] = [connect('a'), connect('b')];
  for (const seq of [1, 2, 3]) a.data([seq]);
  for (const seq of [1, 3]) b.data([seq]);
  wire.end();
  assert.deepEqual(found(), ['I4 agreement']);
});

test('a client that caught up by frames of its own agrees, if they have the same reports', () => {
  const { wire, connect, found } = wires();
  const [a, b] = [connect('a'), connect('b')];
  for (const seq of [1, 2, 3, 4]) a.data([seq]);
  b.data([1]);
  b.own([2, 3]);
  b.data([4]);
  wire.end();
  assert.deepEqual(found(), []);
});

test('a frame of its own that equals a published one does not prove that a client has what was published before', () => {
  const { wire, connect, found } = wires();
  const [a, b] = [connect('a'), connect('b')];
  a.data([1]);
  a.data([7], {}, 'p.other');
  for (const seq of [2, 3, 4]) a.data([seq]);
  b.data([1]);
  // It catches up, one partition first.
  b.own([2]);
  b.own([3]);
  b.own([7], 'p.other');
  b.data([4]);
  wire.end();
  assert.deepEqual(found(), []);
});

test('a client that caught up by frames of its own without a report does not agree with the others', () => {
  const { wire, connect, found } = wires();
  const [a, b] = [connect('a'), connect('b')];
  for (const seq of [1, 2, 3, 4]) a.data([seq]);
  b.data([1]);
  b.own([2]);
  b.data([4]);
  wire.end();
  assert.deepEqual(found(), ['I4 agreement']);
});

test('on the wire positions grow, and no device is sent that the token does not cover', () => {
  const { connect, found } = wires();
  const a = connect('a');
  a.data([3], { snapshot: true });
  a.data([2]);
  assert.deepEqual(found(), ['I2 order']);
  a.data([1], {}, 'q.m');
  assert.deepEqual(found().at(-1), 'I6 isolation');
});

test('a program that restarts receives again what is after its position, and nothing before', () => {
  const { checker, watch, found } = watching();
  watch.receive([1, 2, 3, 4].map((seq) => report(seq)));
  watch.restarted(from(2));
  watch.receive([3, 4, 5].map((seq) => report(seq)));
  checker.end();
  assert.deepEqual(found(), []);
  watch.restarted(from(3));
  watch.receive([report(3)]);
  assert.deepEqual(found(), ['I2 order']);
});
