import assert from 'node:assert/strict';
import { test } from 'node:test';
import { notDoneText, runStateWord, sceneValuesFrom } from './scenes-api.ts';

test('a finished run names what it has not reached, and at most three devices', () => {
  const notDone = ['a', 'b', 'c', 'd'].map((device) => ({ device, state: 'unavailable' }));
  assert.equal(
    notDoneText({ final: true, notDone }),
    'Not done: a (unavailable), b (unavailable), c (unavailable) and 1 more',
  );
  assert.equal(notDoneText({ final: true, notDone: [] }), undefined);
  assert.equal(notDoneText({ final: false, notDone }), undefined);
  assert.deepEqual([runStateWord('partial'), runStateWord('later')], ['partly done', 'later']);
});

test('values of a form have the types of the parameters, and an empty one has the default of the scene', () => {
  const parameters = { level: { type: 'number' }, name: { type: 'text' }, on: { type: 'boolean' } } as const;
  const fields = new FormData();
  fields.set('level', '16.5');
  fields.set('name', '');
  assert.deepEqual(sceneValuesFrom(parameters, fields), { level: 16.5, on: false });
});
