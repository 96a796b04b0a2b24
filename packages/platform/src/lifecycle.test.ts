import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { createManualClock } from '../test/manual-clock.ts';
import { createLifecycle, type LifecycleOptions, type LifecycleState, type Part } from './lifecycle.ts';
import { type Logger, silentLogger } from './logger.ts';

function arrangement(parts: readonly Part[], options: Partial<LifecycleOptions> = {}) {
  const clock = createManualClock();
  const states: LifecycleState[] = [];
  const lifecycle = createLifecycle({
    parts,
    logger: silentLogger,
    clock,
    onState: (state) => states.push(state),
    ...options,
  });
  return { clock, states, lifecycle };
}

/** A part that notes each step it is put through. */
function noting(steps: string[], name: string, more: Partial<Part> = {}): Part {
  return {
    name,
    start: () => void steps.push(`start ${name}`),
    drain: () => void steps.push(`drain ${name}`),
    stop: () => void steps.push(`stop ${name}`),
    ...more,
  };
}

const never = () => new Promise<void>(() => {});
/** Lets every promise that can settle do so. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

test('parts start in order, and drain and stop in the reverse order', async () => {
  const steps: string[] = [];
  const { lifecycle, states, clock } = arrangement([noting(steps, 'log'), noting(steps, 'door')]);
  await lifecycle.start();
  assert.equal(lifecycle.state, 'running');
  assert.equal(await lifecycle.stop('SIGTERM'), 0);
  assert.deepEqual(steps, ['start log', 'start door', 'drain door', 'drain log', 'stop door', 'stop log']);
  assert.deepEqual(states, ['starting', 'running', 'draining', 'stopping', 'stopped']);
  assert.equal(clock.timers(), 0);
});

test('a part may leave out any step', async () => {
  const { lifecycle } = arrangement([{ name: 'nothing' }]);
  await lifecycle.start();
  assert.equal(await lifecycle.stop('test'), 0);
});

test('a part that does not start stops those before it, and its error is what start rejects with', async () => {
  const steps: string[] = [];
  const fault = new TailraceError('unavailable', 'no broker at 127.0.0.1:9092');
  const failing = noting(steps, 'log', { start: () => Promise.reject(fault) });
  const { lifecycle } = arrangement([noting(steps, 'metrics'), failing, noting(steps, 'door')]);
  await assert.rejects(lifecycle.start(), fault);
  assert.deepEqual(steps, ['start metrics', 'drain metrics', 'stop metrics']);
  assert.equal(lifecycle.state, 'stopped');
  assert.equal(await lifecycle.stop('again'), 1);
});

test('a part that throws at once fails like one that rejects', async () => {
  const { lifecycle } = arrangement([
    {
      name: 'log',
      start: () => {
        throw new TailraceError('storage_full', 'full');
      },
    },
  ]);
  await assert.rejects(lifecycle.start(), { code: 'storage_full' });
});

test('a part that does not start in its time is stopped, for it may hold something', async () => {
  const steps: string[] = [];
  const { lifecycle, clock } = arrangement([noting(steps, 'log', { start: never, startMs: 500 })]);
  const started = lifecycle.start();
  clock.advance(499);
  await settled();
  assert.equal(lifecycle.state, 'starting');
  clock.advance(1);
  await assert.rejects(started, { code: 'timeout', message: 'log did not start within 500 ms' });
  assert.deepEqual(steps, ['drain log', 'stop log']);
});

test('a stop during the start does not wait for it and starts nothing more', async () => {
  const steps: string[] = [];
  const { lifecycle, states, clock } = arrangement([
    noting(steps, 'a'),
    noting(steps, 'log', { start: never }),
    noting(steps, 'door'),
  ]);
  const started = lifecycle.start();
  await settled();
  assert.equal(await lifecycle.stop('SIGINT'), 0);
  await started;
  assert.deepEqual(steps, ['start a', 'drain log', 'drain a', 'stop log', 'stop a']);
  assert.deepEqual(states, ['starting', 'draining', 'stopping', 'stopped']);
  clock.advance(30_000);
  assert.equal(clock.timers(), 0);
});

test('a start that fails after it was cut short by a stop disturbs nobody', async () => {
  const start = Promise.withResolvers<void>();
  const { lifecycle } = arrangement([{ name: 'log', start: () => start.promise }]);
  const started = lifecycle.start();
  await settled();
  assert.equal(await lifecycle.stop('SIGINT'), 0);
  start.reject(new TailraceError('unavailable', 'too late'));
  await started;
  await settled();
});

test('a drain over its time is passed over, the rest is stopped, and the exit code tells', async () => {
  const steps: string[] = [];
  const warnings: object[] = [];
  const logger: Logger = { ...silentLogger, warn: (facts) => void warnings.push(facts) };
  const { lifecycle, clock } = arrangement(
    [noting(steps, 'log'), noting(steps, 'door', { drain: never, drainMs: 100 })],
    { logger },
  );
  await lifecycle.start();
  const stopped = lifecycle.stop('SIGTERM');
  await settled();
  clock.advance(100);
  assert.equal(await stopped, 2);
  assert.deepEqual(steps.slice(2), ['drain log', 'stop door', 'stop log']);
  assert.deepEqual(warnings, [{ part: 'door', step: 'drain', limitMs: 100 }]);
});

test('a part that fails at stopping keeps no other from stopping', async () => {
  const steps: string[] = [];
  const failing = noting(steps, 'door', { stop: () => Promise.reject(new TailraceError('internal', 'torn')) });
  const { lifecycle } = arrangement([noting(steps, 'log'), failing]);
  await lifecycle.start();
  assert.equal(await lifecycle.stop('SIGTERM'), 2);
  assert.equal(steps.at(-1), 'stop log');
});

test('asked twice to stop, it stops once', async () => {
  const steps: string[] = [];
  const { lifecycle } = arrangement([noting(steps, 'a')]);
  await lifecycle.start();
  assert.deepEqual(await Promise.all([lifecycle.stop('SIGTERM'), lifecycle.stop('SIGTERM')]), [0, 0]);
  assert.deepEqual(steps, ['start a', 'drain a', 'stop a']);
});

test('an error that nobody caught stops in order, with the code of a fault', async () => {
  const steps: string[] = [];
  const { lifecycle } = arrangement([noting(steps, 'a')]);
  await lifecycle.start();
  assert.equal(await lifecycle.fail(new RangeError('odd'), 'uncaughtException'), 1);
  assert.deepEqual(steps, ['start a', 'drain a', 'stop a']);
});

test('a part that cannot go on stops all in order, with the code of a fault; during a stop it changes nothing', async () => {
  const steps: string[] = [];
  const errors: string[] = [];
  const logger: Logger = { ...silentLogger, error: (_, sentence) => void errors.push(sentence) };
  const { lifecycle } = arrangement([noting(steps, 'a')], { logger });
  await lifecycle.start();
  const lost = new TailraceError('conflict', 'the log is another');
  assert.deepEqual(await Promise.all([lifecycle.abandon(lost), lifecycle.abandon(lost)]), [1, 1]);
  assert.deepEqual(steps, ['start a', 'drain a', 'stop a']);
  assert.deepEqual(errors, ['cannot go on, stopping: the log is another']);

  const stopping = arrangement([noting(steps, 'b')], { logger });
  await stopping.lifecycle.start();
  assert.deepEqual(await Promise.all([stopping.lifecycle.stop('SIGTERM'), stopping.lifecycle.abandon(lost)]), [0, 0]);
  assert.equal(errors.length, 1);
});

test('started twice is a fault of the program', async () => {
  const { lifecycle } = arrangement([]);
  await lifecycle.start();
  await assert.rejects(lifecycle.start(), /starting cannot follow running/);
});
