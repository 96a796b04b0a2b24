import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { workLimits, workOn } from '../../test/work-limits.ts';
import { awaited, type Coroutine, runCoroutine } from './coroutine.ts';
import { WorkScheduler } from './work-scheduler.ts';

const queue = () => workOn(createFakeClock()).queue('test');

test('steps that wait for nothing run in the turn in which they are started', async () => {
  const log: number[] = [];
  function* steps(): Coroutine<string> {
    for (let i = 0; i < 3; i++) {
      log.push(i);
      yield undefined;
    }
    return 'done';
  }
  const driven = runCoroutine(queue(), steps());
  assert.deepEqual(log, [0, 1, 2]);
  assert.equal(await driven, 'done');
});

test('steps wait for what they yield, and get what it resolves with', async () => {
  function* steps(): Coroutine<number> {
    return (yield* awaited(Promise.resolve(20))) + (yield* awaited(Promise.resolve(1)));
  }
  assert.equal(await runCoroutine(queue(), steps()), 21);
});

test('a promise that rejects throws where it is waited for', async () => {
  const log: string[] = [];
  function* steps(): Coroutine<string> {
    try {
      yield Promise.reject(new TypeError('away'));
    } catch (thrown) {
      log.push((thrown as Error).message);
    }
    try {
      yield* awaited(Promise.reject(new TypeError('away again')));
    } finally {
      log.push('released');
    }
    return 'not reached';
  }
  await assert.rejects(runCoroutine(queue(), steps()), /away again/);
  assert.deepEqual(log, ['away', 'released']);
});

test('steps that are refused release what they hold', async () => {
  const limits = { ...workLimits, userQueuedTasksMax: 1 };
  const scheduler = new WorkScheduler({ clock: { monotonic: () => 0 }, defer() {}, limits, stepsMax: 1 });
  const busy = scheduler.queue('test');
  assert.equal(
    busy.run(() => true),
    undefined,
  );
  void busy.run(() => true);
  let isHeld = true;
  function* steps(): Coroutine {
    try {
      yield undefined;
    } finally {
      isHeld = false;
    }
  }
  const held = steps();
  // It has started, and has to go on.
  held.next();
  await assert.rejects(runCoroutine(busy, held), { code: 'rate_limited' });
  assert.equal(isHeld, false);
});

test('stopped work takes no further step, and releases its memory', async () => {
  const log: string[] = [];
  let isWanted = true;
  function* steps(): Coroutine {
    try {
      log.push('first');
      yield Promise.resolve();
      log.push('second');
    } finally {
      log.push('released');
    }
  }
  const driven = runCoroutine(queue(), steps(), () => isWanted);
  isWanted = false;
  await assert.rejects(driven, { code: 'closed' });
  assert.deepEqual(log, ['first', 'released']);
});
