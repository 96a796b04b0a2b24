import assert from 'node:assert/strict';
import { test } from 'node:test';
import { claimed, fenceFor, keyOfScope, type Lease, type LeaseAction, overlaps, scopesOver } from './lease.ts';

const nowMs = 1_000;
const lease = (scope: string, holder: string, fields: Partial<Lease> = {}): Lease => ({
  ...{ scope, token: 7, holder, acquired: 0, until: 5_000, ...fields },
});
const claim = (scope: string, action: LeaseAction, subject: string, token = 0, maySupersede = false) => ({
  ...{ scope, action, subject, token, forMs: 60_000, maySupersede },
});

test('scopes overlap if they have a device in common', () => {
  assert.ok(overlaps('a.b', 'a.b'));
  assert.ok(overlaps('a.>', 'a.b'));
  assert.ok(overlaps('a.b.c', 'a.>'));
  assert.ok(!overlaps('a.b', 'a.b.c'));
  assert.ok(!overlaps('a.b.>', 'a.bc'));
  assert.deepEqual(scopesOver('a.b.c'), ['a.b.c', 'a.>', 'a.b.>', '>']);
  assert.equal(keyOfScope('a.b.>'), 'a.b');
  assert.equal(keyOfScope('a.b'), 'a.b');
});

test('a free scope is acquired, also after the lease of another has expired', () => {
  assert.deepEqual(claimed(claim('a.b', 'acquire', 'anna'), [], nowMs).lease, {
    ...{ scope: 'a.b', token: 0, holder: 'anna', acquired: nowMs, until: 61_000 },
  });
  const expired = lease('a.>', 'bob', { until: nowMs });
  const change = claimed(claim('a.b', 'acquire', 'anna'), [expired], nowMs);
  assert.equal(change.lease?.token, 0);
  assert.deepEqual(change.removed, [expired]);
});

test('a scope that overlaps with a valid lease is refused, with its holder', () => {
  for (const other of ['a.b', 'a.>'])
    assert.throws(() => claimed(claim('a.b', 'acquire', 'anna'), [lease(other, 'bob')], nowMs), {
      code: 'conflict',
      message: new RegExp(`got ${other} of "bob" for 4 s more`),
    });
});

test('a holder that acquires again keeps its token', () => {
  const own = lease('a.b', 'anna');
  const change = claimed(claim('a.b', 'acquire', 'anna'), [own], nowMs);
  assert.deepEqual([change.lease?.token, change.lease?.until], [7, 61_000]);
});

test('a lease is renewed and released by its holder with its token, while it is valid', () => {
  const own = lease('a.b', 'anna');
  assert.equal(claimed(claim('a.b', 'renew', 'anna', 7), [own], nowMs).lease?.until, 61_000);
  assert.deepEqual(claimed(claim('a.b', 'release', 'anna', 7), [own], nowMs), { lease: undefined, removed: [own] });
  for (const [subject, token, until] of [
    ['anna', 6, 5_000],
    ['bob', 7, 5_000],
    ['anna', 7, nowMs],
  ] as const)
    assert.throws(() => claimed(claim('a.b', 'renew', subject, token), [{ ...own, until }], nowMs), {
      code: 'conflict',
    });
});

test('a lease is taken over only with the role, with a new token, and all below it', () => {
  const leases = [lease('a.b', 'bob'), lease('a.c', 'carl')];
  assert.throws(() => claimed(claim('a.>', 'take_over', 'anna'), leases, nowMs), { code: 'forbidden' });
  const change = claimed(claim('a.>', 'take_over', 'anna', 0, true), leases, nowMs);
  assert.equal(change.lease?.token, 0);
  assert.deepEqual(change.removed, leases);
  // A part of a lease is not taken: its holder would have the rest.
  assert.throws(() => claimed(claim('a.b', 'take_over', 'anna', 0, true), [lease('a.>', 'bob')], nowMs), {
    code: 'conflict',
  });
});

test('a command has the fence of the lease over its device, and is refused under that of another', () => {
  assert.equal(fenceFor({ device: 'a.b', sender: 'anna', token: 0 }, undefined, nowMs), 0);
  assert.equal(fenceFor({ device: 'a.b', sender: 'anna', token: 0 }, lease('a.>', 'anna'), nowMs), 7);
  assert.equal(fenceFor({ device: 'a.b', sender: 'anna', token: 7 }, lease('a.>', 'anna'), nowMs), 7);
  for (const [token, over] of [
    [0, lease('a.>', 'bob')],
    [6, lease('a.>', 'anna')],
    [7, undefined],
  ] as const)
    assert.throws(() => fenceFor({ device: 'a.b', sender: 'anna', token: token }, over, nowMs), { code: 'conflict' });
});
