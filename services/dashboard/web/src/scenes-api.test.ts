import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  notDoneText,
  runStateWord,
  runText,
  type SceneRun,
  sceneTitle,
  sceneValuesFrom,
  shownRun,
} from './scenes-api.ts';

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

test('two scenes with the same name have their IDs beside it', () => {
  const scenes = [
    { id: 'away', name: 'Away' },
    { id: 'away-2', name: 'Away' },
    { id: 'night', name: 'Night' },
  ];
  const titles = ['away', 'away-2', 'night', 'deleted'].map((id) => sceneTitle(id, scenes));
  assert.deepEqual(titles, ['Away (away)', 'Away (away-2)', 'Night', 'deleted']);
});

test('beside the button of a scene is the run that was started there, else an active one', () => {
  const run = (id: string, state: string, cause = 'api'): SceneRun => ({
    ...{ id, scene: 'stop', state, final: state === 'done', cause, by: 'anna', created: 1 },
    ...{ steps: [{ state: 'done' }, { state: 'waiting' }], notDone: [] },
  });
  const started = run('r1', 'confirming');
  assert.equal(shownRun([], started), started);
  assert.equal(shownRun([run('r2', 'running'), run('r1', 'done')], started)?.state, 'done');
  assert.equal(shownRun([run('u1', 'running', 'undo'), run('r3', 'running')], undefined)?.id, 'r3');
  assert.equal(shownRun([run('r1', 'done')], undefined), undefined);
  assert.equal(runText(started), 'waits for a second person 1/2');
});
