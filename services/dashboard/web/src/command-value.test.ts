import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CommandTransition, isFinal } from '@tailrace/client/control';
import { commandStateWord, commandText, commandValueFrom, withState } from './command-value.ts';

const values: readonly (readonly [string, number | boolean | string])[] = [
  ['17', 17],
  [' -2.5 ', -2.5],
  ['17,5', 17.5],
  ['1,000,000', '1,000,000'],
  ['true', true],
  ['off', false],
  ['storm', 'storm'],
  ['', ''],
];
for (const [text, value] of values)
  test(`${JSON.stringify(text)} is the value ${JSON.stringify(value)}`, () =>
    assert.equal(commandValueFrom(text), value));

test('a command has the text of its name and values', () => {
  assert.equal(commandText({ name: 'set', params: { on: true, level: 3 } }), 'set on = true, level = 3');
  assert.equal(commandText({ name: 'lock' }), 'lock');
});

test('a state has words, also one that waits for a person, and one of a later server', () => {
  assert.equal(commandStateWord({ state: 'accepted', awaits: 'confirmation' }, 0), 'waits for a second person');
  assert.equal(commandStateWord({ state: 'queued', awaits: 'device' }, 0), 'waits for the device');
  assert.equal(commandStateWord({ state: 'later' }, 0), 'later');
  assert.deepEqual([isFinal({ state: 'unconfirmed', awaits: 'outcome' }), isFinal({ state: 'done' })], [false, true]);
});

test('the newest commands are shown, those in progress before others, and no state goes back', () => {
  const state = (id: string, number: number, name = 'done'): CommandTransition => ({
    ...{ id, device: 'home.entrance', number, state: name, time: number },
  });
  let commands = withState([], state('a', 1, 'sent'));
  for (const id of ['b', 'c', 'd', 'e', 'f']) commands = withState(commands, state(id, 2));
  assert.deepEqual(
    commands.map(({ id }) => id),
    ['f', 'e', 'd', 'c', 'a'],
  );
  commands = withState(commands, state('a', 2));
  commands = withState(commands, state('a', 1, 'sent'));
  assert.deepEqual([commands.at(-1)?.state, commands.length], ['done', 5]);
});
