import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CronTimes } from './cron.ts';
import { type DueSchedule, decideDue, runAfter, scheduleSchema } from './schedule.ts';

const dayMs = 86_400_000;
const startMs = Date.UTC(2026, 2, 1);

function schedule(fields: Partial<DueSchedule> & { cron?: string } = {}): DueSchedule {
  const times = new CronTimes(fields.cron ?? '0 * * * *', 'UTC', startMs);
  const known = { id: 'night', overlap: 'skip', catchUpMs: 60_000, jitterMs: 0, active: 0, times, ...fields } as const;
  return { ...known, next: fields.next ?? runAfter(known, startMs)! };
}

const hour = (n: number) => startMs + n * 3_600_000;

test('nothing is decided before a run is due', () => {
  assert.equal(decideDue(schedule(), hour(1) - 1), undefined);
});

test('a due run starts, and the next one follows', () => {
  assert.deepEqual(decideDue(schedule(), hour(1) + 100), {
    start: { timeMs: hour(1), dueMs: hour(1) },
    cancelsActive: false,
    skipped: [],
    next: { timeMs: hour(2), dueMs: hour(2) },
  });
});

test('after an outage, the newest run within the window starts once, and the others are named', () => {
  const decision = decideDue(schedule({ cron: '* * * * *', next: { timeMs: hour(1), dueMs: hour(1) } }), hour(5) + 10);
  assert.equal(decision?.start?.timeMs, hour(5));
  assert.deepEqual(decision?.skipped, [{ firstMs: hour(1), lastMs: hour(5) - 60_000, reason: 'late' }]);
  assert.equal(decision?.next?.timeMs, hour(5) + 60_000);
});

test('a run outside the window is skipped', () => {
  const decision = decideDue(schedule(), hour(1) + 60_001);
  assert.equal(decision?.start, undefined);
  assert.deepEqual(decision?.skipped, [{ firstMs: hour(1), lastMs: hour(1), reason: 'late' }]);
  assert.equal(decision?.next?.timeMs, hour(2));
});

test('if a run is active, the policy decides', () => {
  const decide = (overlap: DueSchedule['overlap'], active = 1, queuedMs?: number) => {
    const { start, queue, cancelsActive, skipped } = decideDue(schedule({ overlap, active, queuedMs }), hour(1))!;
    return [start?.timeMs, queue?.timeMs, cancelsActive, skipped.map((each) => [each.firstMs, each.reason])];
  };
  assert.deepEqual(decide('skip'), [undefined, undefined, false, [[hour(1), 'overlap']]]);
  assert.deepEqual(decide('parallel'), [hour(1), undefined, false, []]);
  assert.deepEqual(decide('parallel', 10), [undefined, undefined, false, [[hour(1), 'overlap']]]);
  assert.deepEqual(decide('replace'), [hour(1), undefined, true, []]);
  assert.deepEqual(decide('queue'), [undefined, hour(1), false, []]);
  assert.deepEqual(decide('queue', 1, hour(0)), [undefined, hour(1), false, [[hour(0), 'overlap']]]);
  assert.deepEqual(decide('queue', 0, hour(0)), [undefined, hour(1), false, [[hour(0), 'overlap']]]);
});

test('jitter is the same for the same run, differs between runs and schedules, and keeps the order', () => {
  const due = (id: string, jitterMs: number) => {
    const known = schedule({ id, jitterMs, cron: '*/5 * * * *' });
    const delays: number[] = [];
    let run = runAfter(known, startMs)!;
    for (let n = 0; n < 100; n++) {
      const next = runAfter(known, run.timeMs)!;
      assert.ok(run.dueMs >= run.timeMs && run.dueMs < next.timeMs);
      assert.ok(run.dueMs - run.timeMs < jitterMs);
      delays.push(run.dueMs - run.timeMs);
      run = next;
    }
    return delays;
  };
  assert.deepEqual(due('a', 60_000), due('a', 60_000));
  assert.notDeepEqual(due('a', 60_000), due('b', 60_000));
  assert.ok(new Set(due('a', 60_000)).size > 90);
  due('a', 3_600_000);
});

test('every run is started once or named as skipped, in order, however the clock moves', () => {
  for (const jitterMs of [0, 1_000, 240_000]) {
    let known = schedule({ cron: '*/5 * * * *', jitterMs, catchUpMs: 120_000 });
    const seen: number[] = [];
    let nowMs = startMs;
    // Steps of a fixed sequence: small ones, pauses of hours, and steps back.
    for (let n = 0; n < 400; n++) {
      nowMs += [700, 90_000, -30_000, 299_000, 3_600_000, 1, -3_000_000][(n * n) % 7]!;
      const decision = decideDue(known, nowMs);
      if (decision === undefined) continue;
      for (const { firstMs, lastMs } of decision.skipped)
        for (let at: number | undefined = firstMs; at !== undefined && at <= lastMs; at = known.times.after(at))
          seen.push(at);
      if (decision.start !== undefined) {
        assert.ok(decision.start.dueMs <= nowMs && nowMs - decision.start.dueMs <= 120_000);
        seen.push(decision.start.timeMs);
      }
      known = { ...known, next: decision.next! };
    }
    const expected = Array.from({ length: seen.length }, (_, n) => startMs + (n + 1) * 300_000);
    assert.deepEqual(seen, expected);
    assert.ok(seen.length > 200);
  }
});

test('around a change of the clock, the newest run is found as by going on from run to run', () => {
  for (const cron of ['30 2 * * *', '*/15 * * * *', '*/15 2 * * *', '0 */2 * * *'])
    for (const changeMs of [Date.UTC(2026, 2, 28, 12), Date.UTC(2026, 9, 24, 12)]) {
      const times = new CronTimes(cron, 'Europe/Berlin', changeMs);
      let before: number | undefined;
      for (let at = times.after(changeMs); at !== undefined && at < changeMs + 2 * dayMs; at = times.after(at)) {
        if (before !== undefined)
          assert.equal(times.last(at - 1), before, `${cron} before ${new Date(at).toISOString()}`);
        assert.equal(times.last(at), at);
        before = at;
      }
    }
});

test('a schedule has defaults, and bounds', () => {
  const minimal = { name: 'Night', scene: 'night', cron: '0 22 * * *', timeZone: 'Europe/Berlin' };
  const { overlap, catchUpMs, jitterMs, paused } = scheduleSchema.parse(minimal);
  assert.deepEqual([overlap, catchUpMs, jitterMs, paused], ['skip', 60_000, 0, false]);
  for (const wrong of [{ catchUpMs: 0 }, { jitterMs: -1 }, { overlap: 'often' }, { scene: '' }, { other: 1 }])
    assert.equal(scheduleSchema.safeParse({ ...minimal, ...wrong }).success, false, JSON.stringify(wrong));
});
