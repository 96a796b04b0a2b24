import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tailrace } from '@tailrace/protocol/generated';
import { BroadcastOrigin } from './broadcastorigin.ts';

const { Broadcast } = tailrace.v1;

const said = (seq: number, era = 'e1') => Broadcast.decode(Broadcast.encode({ origin: 'a', era, seq }).finish());

/** An origin that has answered, with nothing said yet. */
function arrangement(heldMax = 10) {
  const delivered: string[] = [];
  const origin = new BroadcastOrigin(heldMax, ({ era, seq }) => delivered.push(`${era} ${seq}`));
  origin.answered([said(0)]);
  return { origin, delivered };
}

test('broadcasts are delivered in order, and once, however they come', () => {
  const { origin, delivered } = arrangement();
  assert.deepEqual(
    [3, 1, 5, 1, 4, 3].map((seq) => origin.take(said(seq))),
    [true, false, true, false, true, true],
  );
  assert.deepEqual(delivered, ['e1 0', 'e1 1']);
  assert.equal(origin.take(said(2)), false);
  assert.deepEqual(delivered.slice(2), ['e1 2', 'e1 3', 'e1 4', 'e1 5']);
  assert.equal(origin.held, 0);
});

test('an answer brings what is missing, and then comes what was held', () => {
  const { origin, delivered } = arrangement();
  origin.take(said(1));
  origin.take(said(6));
  origin.take(said(5));
  origin.answered([said(1), said(2), said(3), said(4)]);
  assert.deepEqual(delivered.slice(1), ['e1 1', 'e1 2', 'e1 3', 'e1 4', 'e1 5', 'e1 6']);
  assert.ok(!origin.isBehind('e1', 6));
  assert.ok(origin.isBehind('e1', 7));
});

test('a straggler of the era before delivers nothing; when the origin says that a new one has begun, it counts from its start', () => {
  const { origin, delivered } = arrangement();
  origin.take(said(1));
  assert.ok(origin.take(said(1, 'e2')), 'believed only when the origin has answered');
  assert.deepEqual(delivered.length, 2);
  origin.answered([said(0, 'e2')]);
  assert.deepEqual(delivered.slice(2), ['e2 0', 'e2 1']);
  assert.ok(origin.take(said(2)));
  origin.answered([said(1, 'e2')]);
  assert.deepEqual(delivered.length, 4);
  assert.equal(origin.held, 0, 'the straggler is forgotten');
});

test('no more is held than the bound, and what did not fit is still missing', () => {
  const { origin } = arrangement(3);
  for (let seq = 2; seq < 100; seq++) origin.take(said(seq));
  assert.equal(origin.held, 3);
  origin.take(said(1));
  assert.ok(origin.isBehind('e1', 99));
});
