import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bridgeGrant } from './bridge-grant.ts';

test('the grant of a bridge covers its patterns, and its error names at most five', () => {
  const grant = bridgeGrant('plant', ['p1.>', 'p2.>', 'p3.>', 'p4.>', 'p5.>', 'p6.>', 'p7.>']);
  assert.deepEqual([grant.allowsDevice('p7.a'), grant.allowsDevice('p8.a')], [true, false]);
  assert.equal(grant.covers, 'the bridge plant may publish p1.>, p2.>, p3.>, p4.>, p5.> and 2 more');
  assert.equal(grant.identity, '["bridge","plant"]');
});
