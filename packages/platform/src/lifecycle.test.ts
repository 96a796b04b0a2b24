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

/** Returns a part that records its steps. */
function recording(steps: string[], name: string, more: Partial<Part> = {}): Part {
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
  const { lifecycle, states, clock } = arrangement([recording(steps, 'log'), recording(steps, 'server')]);
  await lifecycle.start();
  assert.equal(lifecycle.state, 'running');
  assert.equal(await lifecycle.stop('SIGTERM'), 0);
  assert.deepEqual(steps, ['start log', 'start server', 'drain server', 'drain log', 'stop server', 'stop log']);
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
  const startError = new TailraceError('unavailable', 'no broker at 127.0.0.1:9092');
  const failing = recording(steps, 'log', { start: () => Promise.reject(startError) });
  const { lifecycle } = arrangement([recording(steps, 'metrics'), failing, recording(steps, 'server')]);
  await assert.rejects(lifecycle.start(), startError);
  assert.deepEqual(steps, ['start metrics', 'drain metrics', 'stop metrics']);
  assert.equal(lifecycle.state, 'stopped');
  assert.equal(await lifecycle.stop('again'), 1);
});

test('a part that throws synchronously fails like one that rejects', async () => {
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

test('a part that does not start within its deadline is stopped, because it may hold resources', async () => {
  const steps: string[] = [];
  const { lifecycle, clock } = arrangement([recording(steps, 'log', { start: never, startMs: 500 })]);
  const started = lifecycle.start();
  clock.advance(499);
  await settled();
  assert.equal(lifecycle.state, 'starting');
  clock.advance(1);
  await assert.rejects(started, { code: 'timeout', message: 'log did not start within 500 ms' });
  assert.deepEqual(steps, ['drain log', 'stop log']);
});

test('a stop during the start does not wait for it and starts no further part', async () => {
  const steps: string[] = [];
  const { lifecycle, states, clock } = arrangement([
    recording(steps, 'a'),
    recording(steps, 'log', { start: never }),
    recording(steps, 'server'),
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

test('a start that fails after a stop has interrupted it is ignored', async () => {
  const start = Promise.withResolvers<void>();
  const { lifecycle } = arrangement([{ name: 'log', start: () => start.promise }]);
  const started = lifecycle.start();
  await settled();
  assert.equal(await lifecycle.stop('SIGINT'), 0);
  start.reject(new TailraceError('unavailable', 'too late'));
  await started;
  await settled();
});

test('a drain beyond its deadline is skipped, the rest is stopped, and the exit code reports it', async () => {
  const steps: string[] = [];
  const warnings: object[] = [];
  const logger: Logger = { ...silentLogger, warn: (facts) => void warnings.push(facts) };
  const { lifecycle, clock } = arrangement(
    [recording(steps, 'log'), recording(steps, 'server', { drain: never, drainMs: 100 })],
    { logger },
  );
  await lifecycle.start();
  const stopped = lifecycle.stop('SIGTERM');
  await settled();
  clock.advance(100);
  assert.equal(await stopped, 2);
  assert.deepEqual(steps.slice(2), ['drain log', 'stop server', 'stop log']);
  assert.deepEqual(warnings, [{ part: 'server', step: 'drain', limitMs: 100 }]);
});

test('a part that fails to stop does not keep others from stopping', async () => {
  const steps: string[] = [];
  const failing = recording(steps, 'server', { stop: () => Promise.reject(new TailraceError('internal', 'torn')) });
  const { lifecycle } = arrangement([recording(steps, 'log'), failing]);
  await lifecycle.start();
  assert.equal(await lifecycle.stop('SIGTERM'), 2);
  assert.equal(steps.at(-1), 'stop log');
});

test('two calls of stop stop once', async () => {
  const steps: string[] = [];
  const { lifecycle } = arrangement([recording(steps, 'a')]);
  await lifecycle.start();
  assert.deepEqual(await Promise.all([lifecycle.stop('SIGTERM'), lifecycle.stop('SIGTERM')]), [0, 0]);
  assert.deepEqual(steps, ['start a', 'drain a', 'stop a']);
});

test('an uncaught error stops in order, with the exit code of a failure', async () => {
  const steps: string[] = [];
  const { lifecycle } = arrangement([recording(steps, 'a')]);
  await lifecycle.start();
  assert.equal(await lifecycle.fail(new RangeError('odd'), 'uncaughtException'), 1);
  assert.deepEqual(steps, ['start a', 'drain a', 'stop a']);
});

test('a part that cannot go on stops all in order, with the exit code of a failure; during a stop it changes nothing', async () => {
  const steps: string[] = [];
  const errors: string[] = [];
  const logger: Logger = { ...silentLogger, error: (_, message) => void errors.push(message) };
  const { lifecycle } = arrangement([recording(steps, 'a')], { logger });
  await lifecycle.start();
  const lost = new TailraceError('conflict', 'the log is another');
  assert.deepEqual(await Promise.all([lifecycle.abandon(lost), lifecycle.abandon(lost)]), [1, 1]);
  assert.deepEqual(steps, ['start a', 'drain a', 'stop a']);
  assert.deepEqual(errors, ['cannot go on, stopping: the log is another']);

  const stopping = arrangement([recording(steps, 'b')], { logger });
  await stopping.lifecycle.start();
  assert.deepEqual(await Promise.all([stopping.lifecycle.stop('SIGTERM'), stopping.lifecycle.abandon(lost)]), [0, 0]);
  assert.equal(errors.length, 1);
});

test('a second start is an internal error', async () => {
  const { lifecycle } = arrangement([]);
  await lifecycle.start();
  await assert.rejects(lifecycle.start(), /expected \w+( or \w+)* after running, got starting$/);
});
