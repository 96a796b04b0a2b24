import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ErrorCode, isTailraceError } from '@tailrace/protocol/error';
import { planScene, planTargets } from './plan.ts';
import { assertNoCycle, assertScene, type Scene, sceneLimits, sceneSchema, sceneValues } from './scene.ts';

function sceneOf(id: string, fields: object): Scene {
  return { id, version: 1, ...sceneSchema.parse({ name: id, ...fields }) };
}

const lamp = (device: string, more: object = {}) => ({ do: 'command', device, command: 'set', ...more });
const calls = (scene: string, params: object = {}) => ({ do: 'scene', scene, params });
const mapOf = (...scenes: readonly Scene[]) => new Map(scenes.map((scene) => [scene.id, scene]));

function refused(code: ErrorCode, message: RegExp, call: () => unknown): void {
  assert.throws(call, (error: unknown) => {
    assert.ok(isTailraceError(error), String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  });
}

const context = (scenes: ReadonlyMap<string, Scene>, devices: readonly string[] = []) => ({
  scenes,
  devicesOf: (pattern: string) => devices.filter((path) => path.startsWith(pattern.slice(0, -1))),
  devicesOfGroup: (group: string) => (group === 'lamps' ? devices : undefined),
  gatewayOf: () => '',
  isMarked: (_device: string, command: string) => command === 'press',
});

test('a circle of scenes is refused with the whole way, however long', () => {
  const scenes = mapOf(
    sceneOf('a', { steps: [calls('b')] }),
    sceneOf('b', { steps: [{ do: 'parallel', steps: [{ do: 'sequence', steps: [calls('c')] }] }] }),
    sceneOf('c', { steps: [lamp('h.l1'), calls('a')] }),
    sceneOf('self', { steps: [calls('self')] }),
  );
  refused('invalid_message', /a → b → c → a/, () => assertNoCycle('a', scenes));
  refused('invalid_message', /self → self/, () => assertNoCycle('self', scenes));
  refused('invalid_message', /a → b → c → a/, () => planScene('a', {}, context(scenes)));
});

test('a scene may run another one twice, and by two ways', () => {
  const scenes = mapOf(
    sceneOf('top', { steps: [calls('left'), calls('right'), calls('base')] }),
    sceneOf('left', { steps: [calls('base')] }),
    sceneOf('right', { steps: [calls('base')] }),
    sceneOf('base', { steps: [lamp('h.l1')] }),
  );
  assertNoCycle('top', scenes);
  assert.deepEqual(
    planScene('top', {}, context(scenes)).steps.map(({ key }) => key),
    ['1.1.1', '2.1.1', '3.1'],
  );
});

test('many scenes that run each other twice are checked without visiting every way', () => {
  const scenes = mapOf(
    ...Array.from({ length: sceneLimits.depthMax }, (_, n) =>
      sceneOf(`s${n}`, {
        steps: n + 1 < sceneLimits.depthMax ? Array.from({ length: 100 }, () => calls(`s${n + 1}`)) : [lamp('h.l1')],
      }),
    ),
  );
  assertNoCycle('s0', scenes);
  refused('limit_reached', /at most 500 steps/, () => planScene('s0', {}, context(scenes)));
});

test('a scene that runs one that does not exist, or too deep a row of scenes, is refused', () => {
  refused('not_found', /"gone" does not exist/, () =>
    assertNoCycle('a', mapOf(sceneOf('a', { steps: [calls('gone')] }))),
  );
  const row = Array.from({ length: 10 }, (_, n) =>
    sceneOf(`s${n}`, { steps: [n < 9 ? calls(`s${n + 1}`) : lamp('h.l1')] }),
  );
  refused('invalid_message', /at most 8 scenes/, () => assertNoCycle('s0', mapOf(...row)));
});

test('values of parameters are checked by type and bounds, and have defaults', () => {
  const scene = sceneOf('dim', {
    parameters: { level: { type: 'number', min: 0, max: 100, default: 30 }, color: { type: 'text' } },
    steps: [lamp('h.l1', { params: { brightness: { parameter: 'level' }, on: true } })],
  });
  assert.deepEqual(sceneValues(scene, { color: 'red' }), { level: 30, color: 'red' });
  refused('invalid_message', /params.color: expected a text, got none/, () => sceneValues(scene, {}));
  refused('invalid_message', /params.level: expected at most 100, got 101/, () =>
    sceneValues(scene, { level: 101, color: '' }),
  );
  refused('invalid_message', /params.level: expected a number, got "1"/, () =>
    sceneValues(scene, { level: '1', color: '' }),
  );
  refused('invalid_message', /parameters of the scene \(level, color\), got "speed"/, () =>
    sceneValues(scene, { speed: 1 }),
  );
  refused('invalid_message', /expected parameters/, () => sceneValues(scene, { toString: 1, color: '' }));
  const plan = planScene('dim', { color: 'red', level: 5 }, context(mapOf(scene)));
  assert.deepEqual(plan.steps[0]?.kind === 'command' && plan.steps[0].params, { brightness: 5, on: true });
});

test('an undeclared parameter, a wrong default and too many levels are refused when the scene is stored', () => {
  const wrong = sceneOf('w', { steps: [lamp('h.l1', { params: { on: { parameter: 'level' } } })] });
  refused('invalid_message', /steps\[0\].params.on: expected a declared parameter, got "level"/, () =>
    assertScene(wrong),
  );
  const value = sceneOf('w', { parameters: { n: { type: 'number', max: 1, default: 2 } }, steps: [lamp('h.l1')] });
  refused('invalid_message', /parameters.n.default: expected at most 1, got 2/, () => assertScene(value));
  let deep: object = lamp('h.l1');
  for (let n = 0; n < 8; n++) deep = { do: 'sequence', steps: [deep] };
  refused('invalid_message', /at most 8 levels/, () => assertScene(sceneOf('w', { steps: [deep] })));
});

test('a pattern and a group become one step for each device, in parallel', () => {
  const scene = sceneOf('off', {
    steps: [lamp('h.lamps.>', { params: { on: false } }), { do: 'command', group: 'lamps', command: 'stop' }],
  });
  const plan = planScene('off', {}, context(mapOf(scene), ['h.lamps.a', 'h.lamps.b']));
  assert.deepEqual(
    plan.steps.map(({ key }) => key),
    ['1 h.lamps.a', '1 h.lamps.b', '2 h.lamps.a', '2 h.lamps.b'],
  );
  assert.deepEqual(plan.root, {
    sequence: [{ parallel: [{ step: 0 }, { step: 1 }] }, { parallel: [{ step: 2 }, { step: 3 }] }],
  });
  assert.deepEqual(planTargets('off', mapOf(scene)), { devices: [], patterns: ['h.lamps.>'], groups: ['lamps'] });
});

test('a target without a device, and an unknown group, are refused', () => {
  const none = mapOf(sceneOf('off', { steps: [lamp('h.lamps.>')] }));
  refused('invalid_message', /step 1: pattern "h.lamps.>": expected at least one device/, () =>
    planScene('off', {}, context(none)),
  );
  const group = mapOf(sceneOf('off', { steps: [{ do: 'command', group: 'gone', command: 'stop' }] }));
  refused('not_found', /group "gone" does not exist/, () => planScene('off', {}, context(group)));
  refused('not_found', /expected an existing one, got "x"/, () => planScene('x', {}, context(mapOf())));
});

test('a run needs a second person if one of its scenes or commands does', () => {
  const scenes = mapOf(
    sceneOf('stop', { confirmation: 'second_person', steps: [lamp('h.l1')] }),
    sceneOf('all', { steps: [calls('stop')] }),
  );
  assert.equal(planScene('all', {}, context(scenes)).needsConfirmation, true);
  const press = mapOf(sceneOf('press', { steps: [{ do: 'command', device: 'h.p', command: 'press' }] }));
  assert.equal(planScene('press', {}, context(press)).needsConfirmation, true);
  assert.equal(planScene('on', {}, context(mapOf(sceneOf('on', { steps: [lamp('h.l1')] })))).needsConfirmation, false);
});

test('a scene is refused for unknown fields, two targets, and too many steps', () => {
  const wrong = [
    { steps: [] },
    { steps: [lamp('h.l1', { group: 'lamps' })] },
    { steps: [{ do: 'command', command: 'set' }] },
    { steps: [lamp('h..l1')] },
    { steps: [{ do: 'wait', ms: 0 }] },
    { steps: [lamp('h.l1')], other: 1 },
    { steps: Array.from({ length: 101 }, () => lamp('h.l1')) },
    { steps: [lamp('h.l1', { onFailure: 'ignore' })] },
  ];
  for (const fields of wrong)
    assert.equal(sceneSchema.safeParse({ name: 'x', ...fields }).success, false, JSON.stringify(fields));
});
