import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertTransition, type Transitions } from './transition.ts';

const transitions: Transitions<'closed' | 'open' | 'broken'> = {
  closed: ['open'],
  open: ['open', 'closed', 'broken'],
  broken: [],
};

test('a state that may follow passes, and any other is an internal error that names both', () => {
  assertTransition('valve', transitions, 'closed', 'open');
  assertTransition('valve', transitions, 'open', 'open');
  assert.throws(() => assertTransition('valve', transitions, 'closed', 'closed'), {
    code: 'internal',
    message: 'valve: expected open after closed, got closed',
  });
  assert.throws(() => assertTransition('valve', transitions, 'broken', 'open'), {
    code: 'internal',
    message: 'valve: expected no state after broken, got open',
  });
});
