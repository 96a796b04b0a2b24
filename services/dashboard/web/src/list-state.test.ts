import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectionWords } from './connection-words.ts';
import { listStateFrom } from './list-state.ts';

const live = { name: 'live', session: 's', node: 'n' } as const;
const quiet = { visible: { name: 'live' }, isComplete: true, error: undefined } as const;
const interrupted = { name: 'interrupted', since: 1000, partitions: [1] } as const;

test('an interruption of the selected device alone is an interruption of the page: a narrow screen subscribes to no list', () => {
  const state = listStateFrom({ ...quiet, device: interrupted });
  assert.deepEqual(state, { name: 'interrupted', since: 1000 });
  assert.deepEqual(connectionWords(live, undefined, state, 0), ['warn', 'Interrupted', '']);
});

test('the earliest interruption counts, whichever subscription reports it, and before errors of the list', () => {
  const error = { code: 'unavailable', message: 'no answer' };
  const visible = { name: 'interrupted', since: 500 } as const;
  const state = listStateFrom({ visible, device: interrupted, isComplete: false, error });
  assert.deepEqual(state, { name: 'interrupted', since: 500 });
  const device = { name: 'live', devices: 1 } as const;
  assert.deepEqual(listStateFrom({ ...quiet, device, error }), { name: 'failed', error });
  assert.deepEqual(listStateFrom({ ...quiet, device, isComplete: false }), { name: 'waiting' });
  assert.deepEqual(listStateFrom({ ...quiet, device }), { name: 'live' });
});
