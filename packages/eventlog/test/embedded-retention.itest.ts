import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { atEnd, deadlineMs, folder, openLog, spec } from './embedded-tools.ts';
import { createMember } from './member.ts';
import { eventually, fill, numbersTo, readAll, recordOf, textOf } from './support.ts';

failOnLeaks();

test('retention by time and by bytes deletes the oldest records, in slices that do not block others, and survives reopening', async (t) => {
  const path = await folder(t);
  const clock = createFakeClock({ nowMs: 1_000_000 });
  const eventLog = await openLog(t, path, { clock, retentionEveryMs: 1_000 });
  await eventLog.ensureTopic({ ...spec, name: 'aged', retentionMs: 60_000 });
  await eventLog.ensureTopic({ ...spec, name: 'large', retentionBytes: 100_000 });
  for (const n of numbersTo(5)) {
    await fill(eventLog, 'aged', 4, 1_000, n * 1_000);
    await fill(eventLog, 'large', 4, 1_000, n * 1_000);
  }
  await clock.advance(59_000);
  await fill(eventLog, 'aged', 4, 10, 5_000);
  assert.deepEqual(
    (await eventLog.bounds('aged')).map(({ first }) => first),
    [0, 0, 0, 0],
  );
  let turns = 0;
  const counting = setInterval(() => turns++, 1);
  atEnd(t, () => clearInterval(counting));
  await clock.advance(2_000);
  await eventually('the old ones are gone', deadlineMs, async () => {
    assert.deepEqual(await eventLog.bounds('aged'), Array(4).fill({ first: 5_000, next: 5_010 }));
    return true;
  });
  await eventually('what is too much is gone', deadlineMs, async () => {
    for (const { first, next } of await eventLog.bounds('large'))
      assert.ok(next === 5_000 && first > 1_000 && first < next);
    return true;
  });
  assert.ok(turns > 3, 'others had their turn');
  const bounds = [await eventLog.bounds('aged'), await eventLog.bounds('large')];
  await eventLog.close();
  const again = await openLog(t, path, { clock });
  assert.deepEqual([await again.bounds('aged'), await again.bounds('large')], bounds);
  const [record] = await readAll(again, 'large', 2);
  assert.equal(textOf(record!), `2:${record!.seq}`);
});

test('a topic that retains everything still does after a restart', async (t) => {
  const path = await folder(t);
  const clock = createFakeClock({ nowMs: 1_000_000 });
  const eventLog = await openLog(t, path, { clock });
  await eventLog.ensureTopic({ ...spec, retentionMs: Infinity, retentionBytes: Infinity });
  // Retention visits it after the other one.
  await eventLog.ensureTopic({ ...spec, name: 'visited-last', retentionMs: 1_000 });
  for (const name of ['t', 'visited-last']) await fill(eventLog, name, 4, 10);
  await eventLog.close();
  const again = await openLog(t, path, { clock, retentionEveryMs: 1_000 });
  await clock.advance(10_000);
  await eventually('retention has run', deadlineMs, async () => {
    assert.deepEqual(await again.bounds('visited-last'), Array(4).fill({ first: 9, next: 10 }));
    return true;
  });
  assert.deepEqual(await again.bounds('t'), Array(4).fill({ first: 0, next: 10 }));
});

test('when all records are too old the last one is retained, so that positions continue after reopening', async (t) => {
  const path = await folder(t);
  const clock = createFakeClock({ nowMs: 1_000_000 });
  const eventLog = await openLog(t, path, { clock, retentionEveryMs: 1_000 });
  await eventLog.ensureTopic({ ...spec, retentionMs: 1_000 });
  await fill(eventLog, 't', 4, 10);
  await clock.advance(10_000);
  await eventually('only the last are left', deadlineMs, async () => {
    assert.deepEqual(await eventLog.bounds('t'), Array(4).fill({ first: 9, next: 10 }));
    return true;
  });
  await eventLog.forget('t', 0, 10);
  await eventLog.close();
  const again = await openLog(t, path, { clock });
  await fill(again, 't', 4, 1, 10);
  assert.deepEqual(await again.bounds('t'), Array(4).fill({ first: 9, next: 11 }));
});

test('a compacted topic has one record per key, also if one append has the same keys many times, and after reopening', async (t) => {
  const path = await folder(t);
  const eventLog = await openLog(t, path);
  await eventLog.ensureTopic({ ...spec, compacted: true, retentionMs: 1 });
  const latest = new Map<string, string>();
  for (const iteration of numbersTo(20)) {
    const records = numbersTo(50).map((n) => recordOf(`k${(n * 7) % 20}`, `${iteration}.${n}`));
    await eventLog.append('t', records);
    for (const { key, value } of records) latest.set(key, new TextDecoder().decode(value));
  }
  await eventLog.close();
  const again = await openLog(t, path);
  await again.append('t', [recordOf('k0', 'last')]);
  latest.set('k0', 'last');
  await again.close();
  const third = await openLog(t, path);
  const kept = (await Promise.all(numbersTo(4).map((partition) => readAll(third, 't', partition)))).flat();
  assert.equal(kept.length, latest.size);
  assert.deepEqual(new Map(kept.map((record) => [record.key, textOf(record)])), latest);
  for (const [partition, { first }] of (await third.bounds('t')).entries()) {
    assert.equal((await readAll(third, 't', partition))[0]?.seq ?? first, first);
  }
});

test('a tombstone is removed once another record follows it, and positions still increase after a restart', async (t) => {
  const path = await folder(t);
  const appendAndReopen = async (...values: readonly (readonly [key: string, value: string])[]) => {
    const eventLog = await openLog(t, path);
    await eventLog.ensureTopic({ ...spec, partitions: 1, compacted: true });
    await eventLog.append(
      't',
      values.map(([key, value]) => recordOf(key, value)),
    );
    await eventLog.close();
    const again = await openLog(t, path);
    const kept = (await readAll(again, 't', 0)).map(({ key, seq }) => `${key}@${seq}`);
    await again.close();
    return kept;
  };
  assert.deepEqual(await appendAndReopen(['a', '1'], ['b', '1'], ['a', '']), ['b@1', 'a@2'], 'the last record stays');
  assert.deepEqual(await appendAndReopen(['a', '2'], ['a', ''], ['b', '']), ['b@5']);
  assert.deepEqual(
    await appendAndReopen(['c', ''], ['b', '2']),
    ['b@7'],
    'two tombstones, and one record of their key',
  );
});

test('ensureTopic changes the retention, but not between plain and compacted', async (t) => {
  const path = await folder(t);
  const eventLog = await openLog(t, path);
  await eventLog.ensureTopic(spec);
  await eventLog.ensureTopic({ ...spec, retentionMs: 5 });
  await assert.rejects(eventLog.ensureTopic({ ...spec, compacted: true }), {
    code: 'invalid_config',
    message: /compacted/,
  });
  await eventLog.close();
  const clock = createFakeClock({ nowMs: Date.now() + 60_000 });
  const again = await openLog(t, path, { clock, retentionEveryMs: 1_000 });
  await fill(again, 't', 4, 2);
  await clock.advance(1_000);
  await clock.advance(1_000);
  await eventually('the new retention applies', deadlineMs, async () => {
    assert.deepEqual((await again.bounds('t'))[0], { first: 1, next: 2 });
    return true;
  });
});

test('if the wall clock is set back the times in the log do not decrease, and a time is still found, also after reopening', async (t) => {
  const path = await folder(t);
  const clock = createFakeClock({ nowMs: 5_000 });
  const eventLog = await openLog(t, path, { clock });
  await eventLog.ensureTopic({ ...spec, partitions: 1 });
  await fill(eventLog, 't', 1, 2);
  clock.setWallClock(1_000);
  await fill(eventLog, 't', 1, 2, 2);
  await eventLog.close();
  const again = await openLog(t, path, { clock });
  await fill(again, 't', 1, 2, 4);
  clock.setWallClock(6_000);
  await fill(again, 't', 1, 2, 6);
  const records = await readAll(again, 't', 0);
  assert.deepEqual(
    records.map((record) => record.timeMs),
    [5_000, 5_000, 5_000, 5_000, 5_000, 5_000, 6_000, 6_000],
  );
  assert.deepEqual(await again.positionsAt('t', 5_001), [6]);
});

test('the generation of a group increases over restarts', async (t) => {
  const path = await folder(t);
  const generations: number[] = [];
  for (const _ of numbersTo(3)) {
    const eventLog = await openLog(t, path);
    await eventLog.ensureTopic(spec);
    const member = await createMember(eventLog, { topics: ['t'], group: 'g', member: 'a' });
    await eventually('assigned', deadlineMs, () => member.generation() > 0);
    generations.push(member.generation());
    await eventLog.close();
  }
  assert.deepEqual(
    generations,
    [...new Set(generations)].sort((a, b) => a - b),
  );
});
