import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectionWords } from './connection-words.ts';

const connected = { name: 'live', session: 's', node: 'n' } as const;

test('an open connection does not make readings live while the server does not read them', () => {
  const interrupted = { name: 'interrupted', since: 1, partitions: [0] } as const;
  assert.deepEqual(connectionWords(connected, undefined, interrupted, 0), ['warn', 'Interrupted', '']);
  assert.deepEqual(connectionWords(connected, undefined, { name: 'live' }, 0), ['good', 'Live', '']);
  assert.deepEqual(connectionWords(undefined, undefined, interrupted, 0), ['warn', 'Connecting', '']);
});
