import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from './fake-clock.ts';

test('time stands still until it is advanced, and then both clocks move alike', async () => {
  const clock = createFakeClock({ nowMs: 1_000_000 });
  assert.deepEqual([clock.now(), clock.monotonic()], [1_000_000, 0]);
  await clock.advance(250);
  assert.deepEqual([clock.now(), clock.monotonic()], [1_000_250, 250]);
});

test('timers run in the order of their time and each sees its own time', async () => {
  const clock = createFakeClock({ nowMs: 0 });
  const ran: string[] = [];
  clock.after(30, () => ran.push(`c${clock.now()}`));
  clock.after(10, () => ran.push(`a${clock.now()}`));
  clock.after(20, () => ran.push(`b${clock.now()}`));
  await clock.advance(25);
  assert.deepEqual(ran, ['a10', 'b20']);
  assert.equal(clock.now(), 25);
  await clock.advance(5);
  assert.deepEqual(ran, ['a10', 'b20', 'c30']);
});

test('timers of the same instant run in the order in which they were set', async () => {
  const clock = createFakeClock();
  const ran: number[] = [];
  clock.after(10, () => ran.push(1));
  await clock.advance(5);
  clock.after(5, () => ran.push(2));
  clock.after(5, () => ran.push(3));
  await clock.advance(5);
  assert.deepEqual(ran, [1, 2, 3]);
});

test('a timer set by a timer runs in the same advance when it falls due in it', async () => {
  const clock = createFakeClock({ nowMs: 0 });
  const ran: number[] = [];
  clock.after(10, () => {
    ran.push(clock.now());
    clock.after(10, () => ran.push(clock.now()));
  });
  await clock.advance(20);
  assert.deepEqual(ran, [10, 20]);
});

test('code that awaits goes on between two timers', async () => {
  const clock = createFakeClock({ nowMs: 0 });
  const steps: string[] = [];
  const work = async () => {
    await clock.sleep(10);
    for (let i = 0; i < 50; i++) await Promise.resolve();
    steps.push(`first at ${clock.now()}`);
    await clock.sleep(5);
    steps.push(`second at ${clock.now()}`);
  };
  const done = work();
  clock.after(12, () => steps.push(`other at ${clock.now()}`));
  await clock.advance(15);
  assert.deepEqual(steps, ['first at 10', 'other at 12', 'second at 15']);
  await done;
});

test('a sleep that starts within the microtasks of an advance is part of it', async () => {
  const clock = createFakeClock();
  let isDone = false;
  const work = async () => {
    await Promise.resolve();
    await clock.sleep(10);
    isDone = true;
  };
  void work();
  await clock.advance(10);
  assert.ok(isDone);
});

test('every runs at each period until it is cancelled', async () => {
  const clock = createFakeClock({ nowMs: 0 });
  const ran: number[] = [];
  const timer = clock.every(10, () => ran.push(clock.now()));
  await clock.advance(35);
  assert.deepEqual(ran, [10, 20, 30]);
  timer.cancel();
  timer.cancel();
  await clock.advance(100);
  assert.deepEqual(ran, [10, 20, 30]);
  assert.equal(clock.pending(), 0);
});

test('a timer may cancel itself, or another of the same instant', async () => {
  const clock = createFakeClock();
  const ran: string[] = [];
  const interval = clock.every(10, () => {
    ran.push('interval');
    interval.cancel();
    other.cancel();
  });
  const other = clock.after(10, () => ran.push('other'));
  await clock.advance(50);
  assert.deepEqual(ran, ['interval']);
});

test('pending counts timers and sleeps; nextInMs is the time until the first is due', async () => {
  const clock = createFakeClock();
  assert.deepEqual([clock.pending(), clock.nextInMs()], [0, undefined]);
  clock.after(30, () => {});
  clock.every(20, () => {});
  void clock.sleep(10);
  assert.deepEqual([clock.pending(), clock.nextInMs()], [3, 10]);
  await clock.advance(4);
  assert.equal(clock.nextInMs(), 6);
});

test('advanceToNext stops at the next timer, runs all of that instant, and returns the time that passed', async () => {
  const clock = createFakeClock({ nowMs: 0 });
  const ran: number[] = [];
  clock.after(7, () => ran.push(1));
  clock.after(7, () => ran.push(2));
  clock.after(9, () => ran.push(3));
  assert.equal(await clock.advanceToNext(), 7);
  assert.deepEqual(ran, [1, 2]);
  assert.equal(await clock.advanceToNext(), 2);
  await assert.rejects(clock.advanceToNext(), { code: 'not_found' });
});

test('a delay that is negative or no number is none, and a period is at least 1 ms', async () => {
  const clock = createFakeClock();
  const ran: string[] = [];
  clock.after(-5, () => ran.push('negative'));
  clock.after(Number.NaN, () => ran.push('nan'));
  const timer = clock.every(0, () => ran.push('every'));
  await clock.advance(0);
  assert.deepEqual(ran, ['negative', 'nan']);
  await clock.advance(2);
  timer.cancel();
  assert.deepEqual(ran, ['negative', 'nan', 'every', 'every']);
});

test('a timer that throws rejects the advance, with the clock where that timer stood', async () => {
  const clock = createFakeClock({ nowMs: 0 });
  const ran: number[] = [];
  clock.after(10, () => {
    throw new RangeError('broken');
  });
  clock.after(20, () => ran.push(clock.now()));
  await assert.rejects(clock.advance(30), new RangeError('broken'));
  assert.equal(clock.now(), 10);
  await clock.advance(20);
  assert.deepEqual(ran, [20]);
});

test('timers that set themselves again without any delay are an error instead of hanging the test', async () => {
  const clock = createFakeClock();
  let calls = 0;
  const again = () => {
    calls++;
    clock.after(0, again);
  };
  again();
  await assert.rejects(clock.advance(1), { code: 'limit_reached' });
  assert.ok(calls < 2000);
});

test('two advances at once are refused', async () => {
  const clock = createFakeClock();
  const first = clock.advance(10);
  await assert.rejects(clock.advance(10), { code: 'conflict' });
  await first;
  assert.equal(clock.monotonic(), 10);
});

test('setting the wall clock moves neither the monotonic clock nor timers', async () => {
  const clock = createFakeClock({ nowMs: 5000 });
  const ran: number[] = [];
  clock.after(10, () => ran.push(clock.now()));
  clock.setWallClock(1000);
  assert.deepEqual([clock.now(), clock.monotonic(), clock.nextInMs()], [1000, 0, 10]);
  await clock.advance(10);
  assert.deepEqual(ran, [1010]);
});

test('any number of timers may be due at one instant', async () => {
  const clock = createFakeClock();
  let calls = 0;
  for (let i = 0; i < 2000; i++) clock.after(0, () => calls++);
  await clock.advance(0);
  assert.equal(calls, 2000);
});

test('through a suspension each timer that fell due runs once, at the end, and an interval continues from there', async () => {
  const clock = createFakeClock({ nowMs: 0 });
  const ran: string[] = [];
  clock.every(10, () => ran.push(`every ${clock.now()}`));
  clock.after(20, () => ran.push(`after ${clock.now()}`));
  clock.after(2_000, () => ran.push('later'));
  void clock.sleep(30).then(() => ran.push(`sleep ${clock.now()}`));
  await clock.suspend(1_005);
  assert.deepEqual(ran, ['every 1005', 'after 1005', 'sleep 1005']);
  await clock.advance(10);
  assert.equal(ran.at(-1), 'every 1015');
});

test('a suspension rejects where timers without a delay set each other without end', async () => {
  const clock = createFakeClock();
  const again = (): void => void clock.after(0, again);
  again();
  await assert.rejects(clock.suspend(1), { code: 'limit_reached' });
});
