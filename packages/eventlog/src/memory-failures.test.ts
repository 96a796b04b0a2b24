import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { createMember, seqsOf } from '../test/member.ts';
import { createWorld, sorted, spec } from '../test/memory-world.ts';
import { fill, numbersTo, readAll, recordOf, textOf } from '../test/support.ts';
import type { MemoryOperation } from './memory.ts';

test('the same calls lead to the same run, with equal generations, batches and times', async () => {
  async function run(): Promise<string[]> {
    const { clock, connect } = createWorld({ epoch: () => 'epoch' });
    const trace: string[] = [];
    const startMs = clock.monotonic();
    const join = async (member: string) => {
      const eventLog = await connect();
      const subscription = await eventLog.subscribe({
        topics: ['t'],
        group: 'g',
        member,
        flushMs: 5,
        onAssigned: (assignment) => {
          trace.push(`${clock.monotonic() - startMs} ${member} ${JSON.stringify(assignment)}`);
          return undefined;
        },
        onBatches: (batches) => {
          for (const { partition, records } of batches) {
            trace.push(`${clock.monotonic() - startMs} ${member} ${partition} ${seqsOf(records)}`);
            subscription.commit('t', partition, records[records.length - 1]!.seq + 1);
          }
        },
      });
      return { eventLog, subscription };
    };
    const a = await join('a');
    for (let n = 0; n < 5; n++) {
      await fill(a.eventLog, 't', 6, 3, n * 3);
      if (n === 1) await join('b');
      if (n === 3) a.eventLog.crash(100);
      if (n === 3) a.eventLog = await connect();
      await clock.advance(37);
    }
    await clock.advance(1_000);
    return trace;
  }
  const trace = await run();
  assert.ok(trace.length > 20);
  assert.deepEqual(await run(), trace);
});

test('a crashed process keeps its partitions until its session expires; then others continue at its commits', async () => {
  const { clock, connect } = createWorld();
  const [dying, living] = [await connect(), await connect()];
  const join = (eventLog: typeof dying, member: string) =>
    createMember(eventLog, { topics: ['t'], group: 'g', member, commits: true });
  const [a, b] = [await join(dying, 'a'), await join(living, 'b')];
  await clock.advance(10);
  await fill(living, 't', 6, 5);
  await clock.advance(1_000);
  assert.equal(a.receivedCount() + b.receivedCount(), 30);
  const orphans = a.partitions();
  assert.ok(orphans.length > 0);

  dying.crash(3_000);
  await fill(living, 't', 6, 5, 5);
  await clock.advance(2_999);
  assert.ok(!b.partitions().some((partition) => orphans.includes(partition)), 'not before the session expires');
  await clock.advance(10);
  assert.deepEqual(sorted(b.partitions()), numbersTo(6));
  for (const partition of orphans) assert.deepEqual(seqsOf(b.received('t', partition)), numbersTo(10, 5));
  assert.ok(a.calls.length > 0 && a.receivedCount() < 30, 'the dead one got nothing more');
  await assert.rejects(dying.append('t', [recordOf('x', 'y')]), { code: 'closed' });
});

test('a process that reconnects before its session expires continues at its position', async () => {
  const { clock, connect } = createWorld();
  const [eventLog, other] = [await connect(), await connect()];
  const a = await createMember(eventLog, { topics: ['t'], group: 'g', member: 'a', commits: true });
  await fill(other, 't', 6, 5);
  await clock.advance(1_000);
  const generation = a.generation();
  eventLog.disconnect(3_000);
  await fill(other, 't', 6, 5, 5);
  await assert.rejects(eventLog.append('t', [recordOf('x', 'y')]), { code: 'unavailable' });
  await assert.rejects(eventLog.bounds('t'), { code: 'unavailable' });
  await clock.advance(2_000);
  assert.equal(a.receivedCount(), 30);
  assert.ok(a.errors.some((error) => error instanceof TailraceError && error.code === 'unavailable'));
  eventLog.reconnect();
  await clock.advance(1);
  assert.equal(a.receivedCount(), 60, 'at once, not at the end of a pause');
  for (const partition of numbersTo(6)) assert.deepEqual(seqsOf(a.received('t', partition)), numbersTo(10));
  assert.equal(a.generation(), generation);
  assert.deepEqual(a.violations(), []);
});

test('a process that reconnects after its session has expired loses all partitions before it gains any', async () => {
  const { clock, connect } = createWorld();
  const [eventLog, other] = [await connect(), await connect()];
  const a = await createMember(eventLog, { topics: ['t'], group: 'g', member: 'a' });
  await fill(other, 't', 6, 10);
  await clock.advance(1_000);
  eventLog.disconnect(3_000);
  const b = await createMember(other, { topics: ['t'], group: 'g', member: 'b', commits: true });
  await clock.advance(3_010);
  assert.deepEqual(sorted(a.partitions()), numbersTo(6));
  assert.deepEqual(sorted(b.partitions()), numbersTo(6), 'two owners');
  assert.ok(b.generation() > a.generation(), 'of two claims the higher counts');
  await clock.advance(1_000);
  assert.equal(b.receivedCount(), 60);
  for (const partition of numbersTo(6)) a.subscription.commit('t', partition, 1);

  eventLog.reconnect();
  await clock.advance(1_000);
  const [, lost, gained] = a.assignments;
  assert.deepEqual(sorted(lost!.lost), numbersTo(6));
  assert.deepEqual(lost!.partitions, []);
  assert.deepEqual(gained!.gained, gained!.partitions);
  assert.equal(gained!.generation, b.generation());
  assert.deepEqual(sorted([...a.partitions(), ...b.partitions()]), numbersTo(6));
  assert.deepEqual(await other.lag('g', 't'), [0, 0, 0, 0, 0, 0], 'what the former owner committed does not count');
  assert.deepEqual(a.violations(), []);
});

test('a process that restarts under its name before its session expires takes over at once', async () => {
  const { clock, connect } = createWorld();
  const [before, after] = [await connect(), await connect()];
  const former = await createMember(before, { topics: ['t'], group: 'g', member: 'a', commits: true });
  await fill(after, 't', 6, 5);
  await clock.advance(1_000);
  before.crash(60_000);
  const successor = await createMember(after, { topics: ['t'], group: 'g', member: 'a' });
  await fill(after, 't', 6, 5, 5);
  await clock.advance(10);
  assert.deepEqual(sorted(successor.partitions()), numbersTo(6));
  assert.equal(successor.receivedCount(), 30);
  assert.ok(successor.generation() > former.generation());
  await clock.advance(60_000);
  assert.deepEqual(
    sorted(successor.partitions()),
    numbersTo(6),
    'the expired session of its former process changes nothing',
  );
});

test('an injected error fails its call; an answer can be lost although the record is written', async () => {
  let faulty: MemoryOperation | undefined;
  const { clock, connect } = createWorld();
  const eventLog = await connect({
    injectError: (operation) =>
      operation === faulty ? new TailraceError('unavailable', `no ${operation}`) : undefined,
  });
  const member = await createMember(eventLog, { topics: ['t'], group: 'g', member: 'a' });
  await clock.advance(10);
  const expectations: [MemoryOperation, () => Promise<unknown>][] = [
    ['start', () => eventLog.start()],
    ['ensureTopic', () => eventLog.ensureTopic(spec)],
    ['describeTopic', () => eventLog.describeTopic('t')],
    ['append', () => eventLog.append('t', [recordOf('a', 'not written')])],
    ['answer', () => eventLog.append('t', [recordOf('a', 'written')])],
    ['read', () => readAll(eventLog, 't', 0)],
    ['bounds', () => eventLog.bounds('t')],
    ['positionsAt', () => eventLog.positionsAt('t', 0)],
    ['lag', () => eventLog.lag('g', 't')],
    ['subscribe', () => createMember(eventLog, { topics: ['t'], group: 'g', member: 'b' })],
  ];
  for (const [operation, call] of expectations) {
    faulty = operation;
    await assert.rejects(call(), { code: 'unavailable', message: `no ${operation}` });
  }
  await clock.advance(10);
  faulty = 'deliver';
  await eventLog.append('t', [recordOf('a', 'not delivered yet')]);
  await clock.advance(20_000);
  assert.equal(member.receivedCount(), 1);
  faulty = undefined;
  await clock.advance(6_000);
  const texts = numbersTo(6).flatMap((partition) => member.received('t', partition).map(textOf));
  assert.deepEqual(texts, ['written', 'not delivered yet']);
});

test('retention by bytes and by time drops the oldest and keeps the newest; compaction keeps the last of each key', async () => {
  const { clock, connect } = createWorld();
  const eventLog = await connect();
  const one = { partitions: 1, retentionMs: 1_000, retentionBytes: 1_000 };
  await eventLog.ensureTopic({ name: 'plain', ...one });
  await eventLog.ensureTopic({ name: 'states', ...one, compacted: true });
  for (let n = 0; n < 100; n++) {
    await eventLog.append('plain', [{ key: 'k', value: new Uint8Array(35) }]);
    await eventLog.append('states', [recordOf(`k${n % 3}`, `${n}`)]);
  }
  assert.deepEqual(await eventLog.bounds('plain'), [{ first: 90, next: 100 }]);
  await clock.advance(2_000);
  for (let n = 100; n < 400; n++) await eventLog.append('states', [recordOf(`k${n % 3}`, `${n}`)]);
  await eventLog.append('plain', [recordOf('k', 'new')]);
  assert.deepEqual(await eventLog.bounds('plain'), [{ first: 100, next: 101 }]);
  const retained = await readAll(eventLog, 'states', 0);
  assert.ok(retained.length < 200, `${retained.length} of 400 are left`);
  assert.deepEqual(retained.slice(-3).map(textOf), ['397', '398', '399']);
});

test('a partition that is released and assigned again while its member is disconnected is not held after a reconnect', async () => {
  const { clock, connect } = createWorld({ handoverMs: 500 });
  let away = false;
  const injectError = (operation: MemoryOperation) =>
    away && operation === 'deliver' ? new TailraceError('unavailable', 'away') : undefined;
  const [eventLog, other] = [await connect({ injectError }), await connect()];
  const a = await createMember(eventLog, { topics: ['t'], group: 'g', member: 'a' });
  await clock.advance(10);
  away = true;
  // The group requests the release of some partitions, waits for `handoverMs`, and assigns them to the other member,
  // which then leaves.
  const b = await createMember(other, { topics: ['t'], group: 'g', member: 'b' });
  await clock.advance(1_500);
  assert.ok(b.partitions().length > 0);
  const leaving = b.subscription.stop();
  await clock.advance(1_500);
  await leaving;
  away = false;
  await fill(other, 't', 6, 5);
  await clock.advance(10_000);
  assert.deepEqual(sorted(a.partitions()), numbersTo(6));
  for (const partition of numbersTo(6)) assert.deepEqual(seqsOf(a.received('t', partition)), numbersTo(5));
  assert.deepEqual(a.violations(), []);
});

test('a member that reconnects after a long time, and gets another error, starts its backoff again', async () => {
  let away = false;
  const { clock, connect } = createWorld();
  const eventLog = await connect({ injectError: () => (away ? new TailraceError('unavailable', 'away') : undefined) });
  const other = await connect();
  const a = await createMember(eventLog, { topics: ['t'], group: 'g', member: 'a' });
  await clock.advance(10);
  eventLog.disconnect(60_000);
  await fill(other, 't', 6, 5);
  await clock.advance(20_000);
  away = true;
  eventLog.reconnect();
  await clock.advance(100);
  away = false;
  await clock.advance(200);
  assert.equal(a.receivedCount(), 30);
});

test('retention of an empty partition deletes nothing, and later records are there', async () => {
  const { connect } = createWorld();
  const eventLog = await connect();
  await eventLog.forget('t', 0, 5);
  await fill(eventLog, 't', 6, 3);
  assert.equal((await readAll(eventLog, 't', 0)).length, 3);
  assert.deepEqual((await eventLog.bounds('t'))[0], { first: 0, next: 3 });
});
