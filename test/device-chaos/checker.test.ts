import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Report } from '@tailrace/protocol/report';
import { countsOf, faultsOf, tableOf } from './checker.ts';
import { idsWith, Ledger } from './ledger.ts';

const none = { duplicatesMax: 0, unsentMax: 0 };
const reportOf = (id: string): Report => ({ device: 'plant1.a', id, time: 0, readings: [] });

/** The counts of a ledger that has sent `sent` messages, of which the first `acknowledged` are acknowledged. */
function counted({ sent, acknowledged, logged }: { sent: number; acknowledged: number; logged: readonly string[] }) {
  const ledger = new Ledger('HTTP', idsWith('h-'));
  for (let index = 0; index < sent; index++) {
    ledger.send(`h-${index}`);
    if (index < acknowledged) ledger.acknowledge(`h-${index}`, index + 1);
  }
  return countsOf([ledger], logged.map(reportOf))[0]!;
}

test('a message that is in the log once has no fault, and one of another protocol is not counted', () => {
  const counts = counted({ sent: 2, acknowledged: 2, logged: ['h-0', 'h-1', 'x-0'] });
  assert.deepEqual(faultsOf(counts, none), []);
  assert.deepEqual([counts.distinct, counts.records, counts.duplicates], [2, 2, 0]);
});

test('an acknowledged message that is not in the log is missing, whatever the bounds', () => {
  const counts = counted({ sent: 3, acknowledged: 2, logged: ['h-0', 'h-2'] });
  assert.deepEqual(counts.missing, ['h-1']);
  assert.deepEqual(faultsOf(counts, { duplicatesMax: 9, unsentMax: 9 }), [
    'HTTP: expected at most 0 acknowledged messages that are not in the log, got 1: h-1 …',
  ]);
});

test('duplicates, and messages that got lost before, have bounds', () => {
  const counts = counted({ sent: 3, acknowledged: 1, logged: ['h-0', 'h-0', 'h-1'] });
  assert.deepEqual(faultsOf(counts, { duplicatesMax: 1, unsentMax: 1 }), []);
  assert.equal(faultsOf(counts, none).length, 2);
});

test('a message that was not sent, and a protocol that sent nothing, are faults', () => {
  assert.match(
    faultsOf(counted({ sent: 1, acknowledged: 1, logged: ['h-0', 'h-9'] }), none)[0]!,
    /were not sent, got 1/,
  );
  assert.match(faultsOf(counted({ sent: 0, acknowledged: 0, logged: [] }), none)[0]!, /expected messages, got none/);
});

test('the table has a line for each protocol', () => {
  const lines = tableOf([counted({ sent: 2, acknowledged: 1, logged: ['h-0', 'h-0'] })]).split('\n');
  assert.match(lines[2]!, /^\| HTTP +\| 2 +\| 1 +\| 1 +\| 2 +\| 1 +\| 0 +\| 1 +\|$/);
});
