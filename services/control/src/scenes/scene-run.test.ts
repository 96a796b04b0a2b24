import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTailraceError } from '@tailrace/protocol/error';
import { seededRandom } from '@tailrace/testkit/random';
import { planScene } from './plan.ts';
import { snapshotTags, undoPlan } from './restoration.ts';
import { type Scene, sceneSchema } from './scene.ts';
import { advance, createSceneRun, isRunFinal, notDone, type RunEvent, type SceneRun, workOf } from './scene-run.ts';

const set = (device: string, params: object, more: object = {}) => ({
  do: 'command',
  device,
  command: 'set',
  params,
  ...more,
});

function runOf(fields: object, snapshot: SceneRun['snapshot'] = {}): SceneRun {
  const scene: Scene = { id: 'away', version: 1, ...sceneSchema.parse({ name: 'Away', ...fields }) };
  const plan = planScene(
    'away',
    {},
    {
      scenes: new Map([['away', scene]]),
      devicesOf: () => [],
      devicesOfGroup: () => undefined,
      gatewayOf: () => '',
      isMarked: () => false,
    },
  );
  return createSceneRun('r1', plan, 'anna', snapshot);
}

/** Applies events to a run, and collects what it requests. */
class Driver {
  run: SceneRun;
  nowMs = 1_000;
  wakeMs: number | undefined;
  submitted: string[] = [];
  canceled: string[] = [];
  /** Active commands, and whether each is to be canceled. */
  #work: ReadonlyMap<string, boolean> = new Map();

  constructor(run: SceneRun) {
    this.run = run;
    this.send({ kind: 'resume' });
  }

  send(event: RunEvent): this {
    const { run, wakeMs } = advance(this.run, event, this.nowMs);
    const before = this.#work;
    // As the store keeps it.
    this.run = JSON.parse(JSON.stringify(run));
    this.wakeMs = wakeMs;
    this.#work = new Map(workOf(this.run).map(({ key, isCanceled }) => [key, isCanceled]));
    for (const [key, isCanceled] of this.#work) {
      if (!before.has(key)) this.submitted.push(key);
      if (isCanceled && !before.get(key)) this.canceled.push(key);
    }
    return this;
  }

  command(key: string, state: Extract<RunEvent, { kind: 'command' }>['state'], code?: string): this {
    return this.send({ kind: 'command', key, state, ...(code === undefined ? {} : { code }) });
  }

  /** Keys submitted since the last call. */
  taken(): readonly string[] {
    return this.submitted.splice(0);
  }
}

const states = (run: SceneRun) => run.steps.map(({ state }) => state);

test('ordered steps start one after the other, parallel ones at once', () => {
  const driver = new Driver(
    runOf({
      steps: [
        set('h.a', { on: 1 }),
        { do: 'parallel', steps: [set('h.b', { on: 1 }), set('h.c', { on: 1 })] },
        set('h.d', { on: 1 }),
      ],
    }),
  );
  assert.deepEqual(driver.taken(), ['1']);
  driver.command('1', 'sent');
  assert.deepEqual(driver.taken(), []);
  driver.command('1', 'done');
  assert.deepEqual(driver.taken(), ['2.1', '2.2']);
  driver.command('2.2', 'done');
  assert.deepEqual(driver.taken(), []);
  driver.command('2.1', 'done');
  assert.deepEqual(driver.taken(), ['3']);
  assert.equal(driver.run.state, 'running');
  driver.command('3', 'done');
  assert.equal(driver.run.state, 'done');
});

test('an unavailable device is named, and the rest is done', () => {
  const driver = new Driver(
    runOf({ order: 'parallel', steps: [set('h.a', { on: 1 }), set('h.b', { on: 1 }), set('h.c', { on: 1 })] }),
  );
  // It would wait for its device: its command is canceled, so that it is not executed later.
  driver.command('1', 'queued');
  assert.deepEqual(driver.canceled, ['1']);
  driver.command('1', 'canceled').command('2', 'failed', 'unavailable').command('3', 'done');
  assert.equal(driver.run.state, 'partial');
  assert.deepEqual(
    notDone(driver.run).map(({ device, state }) => [device, state]),
    [
      ['h.a', 'unavailable'],
      ['h.b', 'unavailable'],
    ],
  );
});

test('a command that waits for its device is sent if the device comes back, and is unavailable at its deadline', () => {
  const driver = new Driver(
    runOf({ order: 'parallel', steps: [set('h.a', {}, { ifOffline: 'wait' }), set('h.b', {}, { ifOffline: 'wait' })] }),
  );
  driver.command('1', 'queued').command('2', 'queued');
  assert.deepEqual(driver.canceled, []);
  driver.command('1', 'sent').command('1', 'expired').command('2', 'expired');
  assert.deepEqual(states(driver.run), ['expired', 'unavailable']);
  assert.equal(driver.run.state, 'failed');
});

test('a command that a person cancels is canceled, and not unavailable', () => {
  const driver = new Driver(runOf({ steps: [set('h.a', {}), set('h.b', {})] })).command('1', 'canceled');
  assert.deepEqual(states(driver.run), ['canceled', 'started']);
});

test('a step that stops the run skips the others, and cancels what has started', () => {
  const driver = new Driver(
    runOf({
      steps: [{ do: 'parallel', steps: [set('h.a', {}, { onFailure: 'stop' }), set('h.b', {})] }, set('h.c', {})],
    }),
  );
  driver.command('1.1', 'failed', 'forbidden');
  assert.deepEqual(driver.canceled, ['1.2']);
  assert.deepEqual(states(driver.run), ['failed', 'started', 'skipped']);
  assert.equal(driver.run.state, 'running');
  // It was sent already.
  driver.command('1.2', 'done');
  assert.equal(driver.run.state, 'failed');
  assert.deepEqual(driver.taken(), ['1.1', '1.2']);
});

const snapshot = {
  'h.a': { isAvailable: true, values: { on: true } },
  'h.b': { isAvailable: false, values: { on: true } },
  'h.c': { isAvailable: true, values: {} },
};

test('what was done is compensated in reverse order: by the compensation of the step, or the values from before', () => {
  const driver = new Driver(
    runOf(
      {
        steps: [
          set('h.a', { on: false }),
          { do: 'command', device: 'h.p', command: 'start', compensation: { command: 'stop' } },
          set('h.z', {}, { onFailure: 'compensate' }),
          set('h.never', {}),
        ],
      },
      snapshot,
    ),
  );
  driver.command('1', 'done').command('2', 'unconfirmed');
  driver.taken();
  driver.command('3', 'failed', 'conflict');
  assert.equal(driver.run.state, 'compensating');
  assert.deepEqual(driver.taken(), ['~2'], 'what is unconfirmed may have been executed');
  assert.deepEqual(
    driver.run.compensation.map(({ device, command, params }) => [device, command, params]),
    [
      ['h.p', 'stop', {}],
      ['h.a', 'set', { on: true }],
    ],
  );
  driver.command('~2', 'done');
  assert.deepEqual(driver.taken(), ['~1']);
  driver.command('~1', 'done');
  assert.equal(driver.run.state, 'compensated');
  assert.equal(driver.run.steps[3]?.state, 'skipped');
});

test('a compensation that is not done, or not possible, is named, and the others go on', () => {
  const driver = new Driver(
    runOf(
      { steps: [set('h.a', { on: false }), set('h.b', { on: false }), set('h.z', {}, { onFailure: 'compensate' })] },
      snapshot,
    ),
  );
  driver.command('1', 'done').command('2', 'done').command('3', 'expired');
  assert.deepEqual(driver.run.notReversed, [
    { step: '2', device: 'h.b', reason: 'the device was unavailable before the run' },
  ]);
  driver.command('~1', 'queued');
  assert.deepEqual(driver.canceled, ['~1']);
  driver.command('~1', 'canceled');
  assert.equal(driver.run.compensation[0]?.state, 'unavailable');
  assert.equal(driver.run.state, 'failed');
});

test('an undo restores what was done, the last step first, and never what was unavailable', () => {
  const driver = new Driver(
    runOf(
      {
        order: 'parallel',
        steps: [
          set('h.a', { on: false, level: 0 }),
          set('h.b', { on: false }),
          set('h.c', { on: false }),
          set('h.a', { on: false }),
        ],
      },
      snapshot,
    ),
  );
  driver.command('1', 'done').command('2', 'done').command('3', 'done').command('4', 'failed');
  const { plan, notReversed } = undoPlan(driver.run);
  assert.deepEqual(
    plan.steps.map((step) => step.kind === 'command' && [step.device, step.params]),
    [['h.a', { on: true }]],
  );
  assert.deepEqual(
    notReversed.map(({ device, reason }) => [device, reason]),
    [
      ['h.c', 'no value from before the run is known of: on'],
      ['h.b', 'the device was unavailable before the run'],
      ['h.a', 'no value from before the run is known of: level'],
    ],
  );
  assert.deepEqual(
    [...snapshotTags(driver.run.plan)],
    [
      ['h.a', ['on', 'level']],
      ['h.b', ['on']],
      ['h.c', ['on']],
    ],
  );
});

test('there is no undo of a run that did nothing', () => {
  const driver = new Driver(runOf({ steps: [set('h.b', { on: false })] }, snapshot)).command('1', 'failed');
  assert.throws(() => undoPlan(driver.run), /expected a step that can be undone, got none: no step was done/);
});

test('a wait starts the next step at its time, also after a restart', () => {
  const driver = new Driver(runOf({ steps: [{ do: 'wait', ms: 500 }, set('h.a', {})] }));
  assert.deepEqual([driver.taken(), driver.wakeMs], [[], 1_500]);
  driver.nowMs = 1_499;
  driver.send({ kind: 'resume' });
  assert.deepEqual([driver.taken(), driver.wakeMs], [[], 1_500]);
  driver.nowMs = 60_000;
  driver.send({ kind: 'resume' });
  assert.deepEqual(driver.taken(), ['2']);
});

test('a canceled run starts nothing more, and is canceled when what has started has finished', () => {
  const driver = new Driver(runOf({ steps: [set('h.a', {}), set('h.b', {})] }));
  driver.send({ kind: 'cancel', by: 'anna' }).send({ kind: 'cancel', by: 'anna' });
  assert.deepEqual(driver.canceled, ['1']);
  assert.equal(driver.run.state, 'running');
  driver.command('1', 'done');
  assert.deepEqual([driver.run.state, driver.taken()], ['canceled', ['1']]);
});

test('a run that needs a second person waits for one', () => {
  const driver = new Driver(runOf({ confirmation: 'second_person', steps: [set('h.a', {})] }));
  assert.deepEqual([driver.run.state, driver.taken()], ['confirming', []]);
  assert.throws(
    () => driver.send({ kind: 'confirm', by: 'anna' }),
    (error) => isTailraceError(error) && error.code === 'forbidden',
  );
  driver.send({ kind: 'confirm', by: 'ben' });
  assert.deepEqual([driver.run.state, driver.taken()], ['running', ['1']]);
  assert.throws(
    () => driver.send({ kind: 'confirm', by: 'ben' }),
    (error) => isTailraceError(error) && error.code === 'conflict',
  );
  const canceled = new Driver(runOf({ confirmation: 'second_person', steps: [set('h.a', {})] }));
  assert.equal(canceled.send({ kind: 'cancel', by: 'anna' }).run.state, 'canceled');
});

test('an unconfirmed command may be corrected, and other final states stay', () => {
  const driver = new Driver(runOf({ steps: [set('h.a', {}), set('h.b', {})] }));
  driver.command('1', 'unconfirmed').command('1', 'done').command('1', 'failed');
  assert.deepEqual(states(driver.run), ['done', 'started']);
});

/** A scene of random steps. */
function randomSteps(random: () => number, depth: number): object[] {
  return Array.from({ length: 1 + Math.floor(random() * 3) }, () => {
    const kind = random();
    if (kind < 0.25 && depth < 4)
      return { do: random() < 0.5 ? 'sequence' : 'parallel', steps: randomSteps(random, depth + 1) };
    if (kind < 0.35) return { do: 'wait', ms: 1 + Math.floor(random() * 1_000) };
    const onFailure = ['continue', 'continue', 'stop', 'compensate'][Math.floor(random() * 4)];
    return set(`h.d${Math.floor(random() * 8)}`, { on: 1 }, { onFailure, ifOffline: random() < 0.5 ? 'skip' : 'wait' });
  });
}

test('any order of events, repeated ones included, submits no command twice and finishes the run', () => {
  const values = Object.fromEntries(
    Array.from({ length: 8 }, (_, n) => [`h.d${n}`, { isAvailable: n % 3 !== 0, values: { on: 0 } }]),
  );
  for (let seed = 1; seed <= 500; seed++) {
    const random = seededRandom(seed);
    const driver = new Driver(
      runOf({ order: random() < 0.5 ? 'sequence' : 'parallel', steps: randomSteps(random, 1) }, values),
    );
    const open = new Set<string>();
    const all: string[] = [];
    const events: RunEvent[] = [];
    for (let n = 0; !isRunFinal(driver.run.state); n++) {
      assert.ok(n < 2_000, `seed ${seed}: the run does not finish`);
      for (const key of driver.taken()) {
        assert.ok(!all.includes(key), `seed ${seed}: ${key} was submitted twice`);
        all.push(key);
        open.add(key);
      }
      driver.nowMs += Math.floor(random() * 100);
      const key = [...open][Math.floor(random() * open.size)];
      if (random() < 0.02) events.push({ kind: 'cancel', by: 'ben' });
      else if (key === undefined || random() < 0.2) events.push({ kind: 'resume' });
      else {
        const state = (['queued', 'sent', 'done', 'done', 'failed', 'expired', 'unconfirmed', 'canceled'] as const)[
          Math.floor(random() * 8)
        ]!;
        events.push({ kind: 'command', key, state });
        if (state !== 'queued' && state !== 'sent') open.delete(key);
      }
      driver.send(events.at(-1)!);
      // Again, or one from before.
      if (random() < 0.3) driver.send(events[Math.floor(random() * events.length)]!);
    }
    assert.deepEqual(driver.taken(), [], `seed ${seed}: a finished run submits nothing`);
    assert.equal(open.size, 0, `seed ${seed}: finished while commands are active: ${driver.run.state}`);
  }
});
