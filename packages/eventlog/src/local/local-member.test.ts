import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMember, type Member } from '../../test/member.ts';
import { createWorld, sorted } from '../../test/memory-world.ts';
import { fill, numbersTo } from '../../test/support.ts';

test('a member that does not release in time loses its partitions anyway, and its late commits do not count', async () => {
  const { clock, connect } = createWorld({ handoverMs: 2_000 });
  const eventLog = await connect();
  const gate = Promise.withResolvers<void>();
  const stuck = await createMember(eventLog, { topics: ['t'], group: 'g', member: 'a', onCall: () => gate.promise });
  await fill(eventLog, 't', 6, 5);
  await clock.advance(10);
  assert.equal(stuck.running(), 1);
  const next = await createMember(eventLog, { topics: ['t'], group: 'g', member: 'b', commits: true });
  await clock.advance(1_900);
  assert.deepEqual(next.partitions(), []);
  await clock.advance(200);
  assert.ok(next.partitions().length > 0);
  assert.equal(next.receivedCount(), next.partitions().length * 5);
  await clock.advance(1_000);
  for (const partition of next.partitions()) stuck.subscription.commit('t', partition, 1);
  gate.resolve();
  await clock.advance(5_000);
  assert.deepEqual(sorted([...stuck.partitions(), ...next.partitions()]), numbersTo(6));
  const lag = await eventLog.lag('g', 't');
  for (const partition of next.partitions()) assert.equal(lag[partition], 0);
});

test('the next owner starts at the position that a member commits just before it releases a partition', async () => {
  const { clock, connect } = createWorld();
  const eventLog = await connect();
  const a = await createMember(eventLog, { topics: ['t'], group: 'g', member: 'a', commits: true });
  await fill(eventLog, 't', 6, 5);
  await clock.advance(5);
  assert.equal(a.receivedCount(), 30);
  const b = await createMember(eventLog, { topics: ['t'], group: 'g', member: 'b' });
  await clock.advance(5);
  assert.ok(b.partitions().length > 0);
  assert.equal(b.receivedCount(), 0);
});

test('onAssigned that rejects is reported and called again; no record is delivered before it has answered', async () => {
  const { clock, connect } = createWorld();
  const eventLog = await connect();
  await fill(eventLog, 't', 6, 1);
  let refusals = 3;
  let asked = 0;
  const member: Member = await createMember(eventLog, {
    topics: ['t'],
    group: 'g',
    member: 'a',
    start(assignment) {
      asked++;
      assert.equal(assignment.partitions.length, 6);
      if (refusals-- > 0) throw new Error('the window is not read back yet');
      return { t: { 0: 1 } };
    },
  }).catch((thrown) => assert.fail(thrown));
  await clock.advance(60);
  assert.equal(member.receivedCount(), 0);
  await clock.advance(1_000);
  assert.equal(asked, 4);
  assert.equal(member.errors.length, 3);
  assert.equal(member.receivedCount(), 5);
});

test('a long call is followed by a pause of three times its duration, at most flushMs; a single record is not delayed', async () => {
  const { clock, connect } = createWorld();
  const eventLog = await connect();
  const calledAtMs: number[] = [];
  let takesMs = 0;
  await eventLog.subscribe({
    topics: ['t'],
    group: 'g',
    member: 'a',
    flushMs: 20,
    onAssigned: () => undefined,
    onBatches: () => {
      calledAtMs.push(clock.monotonic());
      return takesMs === 0 ? undefined : clock.sleep(takesMs);
    },
  });
  await clock.advance(100);
  const gapAfterBusyCall = async (ms: number) => {
    takesMs = ms;
    calledAtMs.length = 0;
    await fill(eventLog, 't', 1, 1);
    await clock.advance(0);
    assert.deepEqual(calledAtMs, [clock.monotonic()], 'at once');
    await fill(eventLog, 't', 1, 1, 1);
    await clock.advance(1_000);
    return calledAtMs[1]! - calledAtMs[0]!;
  };
  assert.equal(await gapAfterBusyCall(4), 4 + 12);
  assert.equal(await gapAfterBusyCall(40), 40 + 20);
  assert.equal(await gapAfterBusyCall(0), 0);
});

test('records of one append are delivered in calls of bounded size, larger ones with a backlog', async () => {
  const { clock, connect } = createWorld({ callRecordsMax: 5 });
  const eventLog = await connect();
  const calls: number[] = [];
  const seqs: number[] = [];
  await eventLog.subscribe({
    ...{ topics: ['t'], group: 'g', member: 'a', flushMs: 20, onAssigned: () => undefined },
    onBatches: (batches) => {
      calls.push(batches.reduce((sum, { records }) => sum + records.length, 0));
      for (const { records } of batches) seqs.push(...records.map(({ seq }) => seq));
    },
  });
  await clock.advance(100);
  const value = new Uint8Array(1);
  const append = (count: number) => eventLog.append('t', new Array(count).fill({ key: 'k', value }));
  await append(12);
  await clock.advance(100);
  assert.deepEqual(calls.splice(0), [5, 5, 2]);
  await append(62);
  await clock.advance(100);
  assert.deepEqual(calls.splice(0), [20, 20, 5, 5, 5, 5, 2]);
  assert.deepEqual(seqs, numbersTo(74));
});

test('a closed log has no timers', async () => {
  const { clock, connect } = createWorld();
  const eventLog = await connect();
  const member = await createMember(eventLog, { topics: ['t'], group: 'g', member: 'a', commits: true });
  await fill(eventLog, 't', 6, 5);
  await clock.advance(1);
  assert.equal(member.receivedCount(), 30);
  const closing = eventLog.close();
  await clock.advance(0);
  await closing;
  assert.equal(clock.pending(), 0);
});

test('records that are deleted before they are read are reported; reading continues at the first record', async () => {
  const { clock, connect } = createWorld({ queueRecordsMax: 4 });
  const eventLog = await connect();
  await fill(eventLog, 't', 6, 10);
  const gate = Promise.withResolvers<void>();
  const member = await createMember(eventLog, { topics: ['t'], group: 'g', member: 'a', onCall: () => gate.promise });
  await clock.advance(10);
  for (let partition = 0; partition < 6; partition++) await eventLog.forget('t', partition, 8);
  gate.resolve();
  await clock.advance(1_000);
  assert.ok(member.errors.length >= 5, `${member.errors.length} errors`);
  for (const { message } of member.errors)
    assert.match(message, /expected 8 to 10; its records were deleted before they were read; .* continues at 8/);
  assert.ok(member.receivedCount() >= 12);
});

test('a log that is being closed accepts no member, and closes once', async () => {
  const { clock, connect } = createWorld();
  const eventLog = await connect();
  const gate = Promise.withResolvers<void>();
  await createMember(eventLog, { topics: ['t'], group: 'g', member: 'a', onCall: () => gate.promise });
  await fill(eventLog, 't', 6, 1);
  await clock.advance(10);
  const closed = [eventLog.close(), eventLog.close()];
  await assert.rejects(createMember(eventLog, { topics: ['t'], group: 'g', member: 'b' }), { code: 'closed' });
  gate.resolve();
  await clock.advance(10);
  await Promise.all(closed);
  assert.equal(clock.pending(), 0);
});
