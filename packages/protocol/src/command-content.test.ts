import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandContentOf } from './command-content.ts';

test('commands share their content if they request the same, in any order of the parameters', () => {
  const command = { device: 'p.a', name: 'set', params: { speed: 3, mode: 'fast' } };
  const content = commandContentOf(command);
  assert.equal(commandContentOf({ ...command, params: { mode: 'fast', speed: 3 } }), content);
  const others = [
    { ...command, device: 'p.b' },
    { ...command, name: 'get' },
    { ...command, params: { speed: 4, mode: 'fast' } },
    { ...command, params: { speed: '3', mode: 'fast' } },
    { ...command, params: { speed: 3 } },
    { ...command, params: { 'speed,3': 'mode', fast: '' } },
  ].map(commandContentOf);
  assert.equal(new Set([content, ...others]).size, others.length + 1);
  assert.ok(others.every((each) => each.length <= 14));
});
