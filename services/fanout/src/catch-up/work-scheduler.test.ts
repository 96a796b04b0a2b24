import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TailraceError } from '@tailrace/protocol/error';
import { type Step, sliceMs, type WorkLimits, type WorkQueue, WorkScheduler } from './work-scheduler.ts';

/** An event loop of the test's own: time passes when the test lets it, and a turn comes when it asks for one. */
function createLoop(limits: Partial<WorkLimits> = {}, stepsMax?: number) {
  let nowMs = 0;
  let deferred: (() => void)[] = [];
  let isLiveWaiting = false;
  const scheduler = new WorkScheduler({
    clock: { monotonic: () => nowMs },
    defer: (call) => deferred.push(call),
    limits: {
      backgroundShare: 0.5,
      queuedTasksMax: 1_000,
      userQueuedTasksMax: 100,
      catchUpBytesMax: 1_000,
      ...limits,
    },
    isLiveWaiting: () => isLiveWaiting,
    stepsMax,
  });
  return {
    scheduler,
    /** A report waits for the disk, or none does. */
    setLiveWaiting(isWaiting: boolean) {
      isLiveWaiting = isWaiting;
    },
    /** Time is used. */
    spend(ms: number) {
      nowMs += ms;
    },
    /** One turn of the event loop, in which the rest has so much to do. */
    turn(restMs = 0) {
      nowMs += restMs;
      for (const call of deferred.splice(0)) call();
    },
    get waits() {
      return deferred.length > 0;
    },
    clear() {
      deferred = [];
    },
  };
}

/** A task of so many steps of one ms each. */
function task(loop: ReturnType<typeof createLoop>, queue: WorkQueue, steps: number, log: string[] = [], name = '') {
  let left = steps;
  const step: Step = () => {
    log.push(name);
    loop.spend(1);
    return --left <= 0;
  };
  return queue.run(step);
}

test('work runs at once where nothing waits, and its turn is not used up', () => {
  const loop = createLoop();
  const queue = loop.scheduler.queue('a');
  assert.equal(task(loop, queue, 1), undefined);
  assert.equal(task(loop, queue, 1), undefined);
  assert.ok(task(loop, queue, 1) instanceof Promise);
  assert.equal(loop.scheduler.queued, 1);
  loop.turn();
  assert.equal(loop.scheduler.queued, 0);
});

test('no turn of the event loop has more than one slice of it', async () => {
  const loop = createLoop();
  const log: string[] = [];
  const done = task(loop, loop.scheduler.queue('a'), 10, log);
  const perTurn = [log.length];
  while (loop.scheduler.queued > 0) {
    const before = log.length;
    loop.turn();
    perTurn.push(log.length - before);
  }
  await done;
  assert.deepEqual(perTurn, [sliceMs, sliceMs, sliceMs, sliceMs, sliceMs]);
});

test('live first: what else wants the loop gets its share of the time', () => {
  for (const [backgroundShare, restMs] of [
    [0.5, 0.5],
    [0.2, 0.5],
    [0.8, 0.5],
    [0.5, 5],
  ] as const) {
    const loop = createLoop({ backgroundShare });
    const log: string[] = [];
    void task(loop, loop.scheduler.queue('a'), 1_000, log);
    let rest = 0;
    while (loop.scheduler.queued > 0) {
      loop.turn(restMs);
      rest += restMs;
    }
    const share = log.length / (log.length + rest);
    assert.ok(share <= backgroundShare + 0.03, `${share} of the time, where ${backgroundShare} is the share`);
    assert.ok(share >= Math.min(backgroundShare * 0.75, sliceMs / (sliceMs + restMs) - 0.05), `only ${share}`);
  }
});

test('while a report waits for the disk, idle turns do not skip the wait between slices', () => {
  const loop = createLoop();
  const log: string[] = [];
  void task(loop, loop.scheduler.queue('a'), 100, log);
  loop.setLiveWaiting(true);
  for (let slices = 1; slices <= 5; slices++) {
    assert.equal(log.length, slices * sliceMs);
    // As long as the slice took, because the share is one half.
    for (let turns = 0; turns < 20 * sliceMs; turns++) loop.turn(0.05);
    loop.turn(0.05);
  }
  loop.setLiveWaiting(false);
  const before = log.length;
  loop.turn(0.05);
  assert.equal(log.length, before + sliceMs, 'the disk has answered');
});

test('time that nothing else wants is used in full', () => {
  const loop = createLoop({ backgroundShare: 0.1 });
  void task(loop, loop.scheduler.queue('a'), 100);
  let turns = 0;
  for (; loop.scheduler.queued > 0; turns++) loop.turn(0.05);
  assert.equal(turns, 49);
});

test('users get the same share of time, whatever they request and over however many connections', () => {
  const loop = createLoop();
  const log: string[] = [];
  for (let i = 0; i < 20; i++) {
    const queue = loop.scheduler.queue('greedy');
    for (let k = 0; k < 5; k++) void task(loop, queue, 10, log, 'greedy');
  }
  loop.turn();
  log.length = 0;
  void task(loop, loop.scheduler.queue('honest'), 20, log, 'honest');
  while (log.filter((name) => name === 'honest').length < 20) loop.turn();
  const greedy = log.filter((name) => name === 'greedy').length;
  assert.ok(greedy <= 20 + 2 * sliceMs, `${greedy} steps of the other before 20 of one's own`);
});

test('connections of a user share the time of that user', () => {
  const loop = createLoop();
  const log: string[] = [];
  const [first, second] = [loop.scheduler.queue('u'), loop.scheduler.queue('u')];
  for (let k = 0; k < 10; k++) void task(loop, first, 10, log, 'first');
  void task(loop, second, 10, log, 'second');
  while (log.filter((name) => name === 'second').length < 10) loop.turn();
  assert.ok(log.filter((name) => name === 'first').length <= 10 + 2 * sliceMs);
});

test('another node, whose requests are for all of its clients, gets half of the time, however many users share the rest', () => {
  const loop = createLoop();
  const log: string[] = [];
  for (let i = 0; i < 90; i++) void task(loop, loop.scheduler.queue(`user${i}`), 20, log, 'user');
  void task(loop, loop.scheduler.queue('b', 'node'), 40, log, 'node');
  while (log.filter((name) => name === 'node').length < 40) loop.turn();
  assert.ok(log.length <= 80 + 3 * sliceMs, `${log.length} steps until the node had its 40`);
  while (loop.scheduler.queued > 0) loop.turn();
});

test('the tasks of a connection take turns', () => {
  const loop = createLoop();
  const log: string[] = [];
  const queue = loop.scheduler.queue('u');
  void task(loop, queue, 100, log, 'long');
  void task(loop, queue, 2, log, 'short');
  for (let i = 0; i < 3; i++) loop.turn();
  assert.equal(log.filter((name) => name === 'short').length, 2);
});

test('what was used beside the tasks counts, once', () => {
  const loop = createLoop();
  const log: string[] = [];
  const [noisy, quiet] = [loop.scheduler.queue('noisy'), loop.scheduler.queue('quiet')];
  void task(loop, loop.scheduler.queue('other'), 10);
  noisy.measure(() => {
    loop.spend(50);
    void noisy.run(() => true);
  });
  assert.equal(loop.scheduler.counts.usedMs, 50 + sliceMs);
  void task(loop, noisy, 10, log, 'noisy');
  void task(loop, quiet, 10, log, 'quiet');
  while (loop.scheduler.queued > 0) loop.turn();
  assert.deepEqual(log.slice(0, 10), Array(10).fill('quiet'));
});

test('the work of a user counts also after it disconnects and reconnects', () => {
  const loop = createLoop();
  const log: string[] = [];
  void task(loop, loop.scheduler.queue('honest'), 30, log, 'honest');
  for (let i = 0; i < 10; i++) {
    const queue = loop.scheduler.queue('comes and goes');
    void task(loop, queue, 4, log, 'other');
    queue.close();
    loop.turn();
    loop.turn();
  }
  const other = log.filter((name) => name === 'other').length;
  assert.ok(Math.abs(other - (log.length - other)) <= 2 * sliceMs + 2, `${other} of ${log.length}`);
  while (loop.scheduler.queued > 0) loop.turn();
  assert.equal(loop.scheduler.users, 1);
});

test('tasks beyond the limit are refused with a retryable error', async () => {
  const loop = createLoop({ userQueuedTasksMax: 3, queuedTasksMax: 5 });
  const [a, b] = [loop.scheduler.queue('a'), loop.scheduler.queue('b')];
  const add = (queue: WorkQueue) => task(loop, queue, 5) as Promise<void>;
  const waiting = [add(a), add(a), add(a)];
  const refused = (error: TailraceError) => error.code === 'rate_limited' && error.retryable;
  await assert.rejects(add(a), refused);
  waiting.push(add(b), add(b));
  await assert.rejects(add(b), refused);
  assert.equal(loop.scheduler.counts.refused, 2);
  while (loop.scheduler.queued > 0) loop.turn();
  await Promise.all(waiting);
});

test('a step that throws stops its own task, and nothing else', async () => {
  const loop = createLoop();
  const queue = loop.scheduler.queue('a');
  assert.throws(
    () =>
      queue.run(() => {
        throw new TypeError('at once');
      }),
    TypeError,
  );
  void task(loop, queue, 3);
  const failed = queue.run(() => {
    throw new TypeError('later');
  }) as Promise<void>;
  const after = task(loop, queue, 1);
  while (loop.scheduler.queued > 0) loop.turn();
  await assert.rejects(failed, /later/);
  await after;
});

test('under virtual time, where steps take no time, work is interrupted after a number of steps', () => {
  const loop = createLoop({}, 2);
  let steps = 0;
  void loop.scheduler.queue('a').run(() => ++steps >= 6);
  assert.equal(steps, 2);
  loop.turn();
  assert.equal(steps, 4);
  loop.turn();
  assert.equal(steps, 6);
});

test('a scheduler without tasks schedules no turns', () => {
  const loop = createLoop();
  void task(loop, loop.scheduler.queue('a'), 3);
  for (let i = 0; i < 5; i++) loop.turn();
  assert.equal(loop.waits, false);
});

test('a connection may become another user, and its reservations are counted by user', async () => {
  const loop = createLoop();
  const queue = loop.scheduler.queue();
  queue.assign('a');
  assert.equal(loop.scheduler.users, 1);
  const held = await queue.reserve(600);
  const waits = loop.scheduler.queue('b').reserve(600);
  assert.ok(waits instanceof Promise);
  held.release();
  assert.equal((await waits).bytes, 600);
});

test('a step may add work of its own connection, and of others of its user', async () => {
  const loop = createLoop();
  const [queue, other] = [loop.scheduler.queue('a'), loop.scheduler.queue('a')];
  const log: string[] = [];
  // Used up, so that what comes now waits.
  task(loop, queue, 2);
  const more: (Promise<void> | undefined)[] = [];
  const asking = queue.run(() => {
    more.push(task(loop, queue, 3, log, 'own'), task(loop, other, 3, log, 'other'));
    return true;
  });
  while (loop.scheduler.queued > 0) loop.turn();
  await Promise.all([asking, ...more]);
  assert.deepEqual(log.sort(), ['other', 'other', 'other', 'own', 'own', 'own']);
});
