import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LeaseTransition } from '@tailrace/client/control';
import { leaseOver, withLease } from './leases.ts';

const device = 'plant1.line2.press1';
const lease = (fields: Partial<LeaseTransition>): LeaseTransition => ({
  ...{ scope: 'plant1.line2.>', token: 1, holder: 'anna', until: 1_000, time: 0 },
  ...fields,
});
const after = (...transitions: readonly LeaseTransition[]) => transitions.reduce(withLease, new Map());

test('a lease of the device, or of a subtree above it, covers it until its time', () => {
  assert.equal(leaseOver(device, after(lease({})), 999)?.holder, 'anna');
  assert.equal(leaseOver(device, after(lease({ scope: device })), 999)?.holder, 'anna');
  assert.equal(leaseOver(device, after(lease({})), 1_000), undefined);
  assert.equal(leaseOver(device, after(lease({ scope: 'plant1.line2.press2' })), 0), undefined);
  assert.equal(leaseOver(device, new Map(), 0), undefined);
});

test('a lease that was released covers nothing, and a transition of an earlier holder changes nothing', () => {
  const { holder: _, ...free } = lease({ time: 5 });
  assert.equal(leaseOver(device, after(lease({}), free), 0), undefined);
  const taken = after(lease({}), lease({ token: 2, holder: 'ben', time: 5 }), lease({ time: 3 }));
  assert.equal(leaseOver(device, taken, 0)?.holder, 'ben');
});
