import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import type { Assignment, LogBatch, LogRecord, StartPositions } from './event-log.ts';
import { GroupMember } from './group-member.ts';
import type { Commit } from './group-ports.ts';
import { RecordBuffer, type RecordQueue } from './record-buffer.ts';

interface SetUpOptions {
  readonly topics?: readonly string[];
  onAssigned?(assignment: Assignment): StartPositions | undefined | Promise<StartPositions | undefined>;
  onBatches?(batches: readonly LogBatch[]): void | Promise<void>;
  committed?(partitions: readonly number[]): Promise<Map<string, Map<number, number>>>;
  commit?(commits: readonly Commit[]): Promise<void>;
}

/** A member whose source is the test: `push` adds records as the source does. */
function setUp(options: SetUpOptions = {}) {
  const clock = createFakeClock();
  const buffer = new RecordBuffer({ recordsMax: 10_000, bytesMax: 1_000_000 });
  const due: (() => void)[] = [];
  const queues = new Map<string, RecordQueue>();
  const started: [topic: string, partition: number, position: number][] = [];
  const assignments: Assignment[] = [];
  const calls: (readonly LogBatch[])[] = [];
  const errors: Error[] = [];
  const commits: Commit[] = [];
  let hasLeft = false;
  const member = new GroupMember({
    clock,
    subscriber: {
      topics: options.topics ?? ['t'],
      group: 'g',
      member: 'm',
      flushMs: 0,
      onAssigned(assignment) {
        assignments.push(assignment);
        return options.onAssigned?.(assignment);
      },
      onBatches(batches) {
        calls.push(batches);
        return options.onBatches?.(batches);
      },
    },
    buffer,
    source: {
      firstPositions: async (_, partitions) => {
        const firsts: number[] = [];
        for (const partition of partitions) firsts[partition] = 100 + partition;
        return firsts;
      },
      start(queue, position) {
        queues.set(`${queue.topic}/${queue.partition}`, queue);
        started.push([queue.topic, queue.partition, position]);
      },
      stop: (queue) => void queues.delete(`${queue.topic}/${queue.partition}`),
      close() {},
    },
    membership: {
      committed: options.committed ?? (async () => new Map()),
      commit: options.commit ?? (async (some) => void commits.push(...some)),
      leave: async () => {
        hasLeft = true;
      },
    },
    schedule: (call) => due.push(call),
    windowMs: 0,
    commitMs: 1_000,
    onError: (thrown) => errors.push(thrown as Error),
  });
  return {
    clock,
    member,
    started,
    assignments,
    calls,
    errors,
    commits,
    hasLeft: () => hasLeft,
    push: (partition: number, seq: number, count: number) =>
      buffer.push(queues.get(`t/${partition}`)!, recordsFrom(seq, count), count * 10),
    /** Runs the scheduled calls, as one turn of the event loop. */
    async turn() {
      for (const call of due.splice(0)) call();
      await clock.advance(0);
    },
    async assign(generation: number, partitions: number[], expelled = false) {
      void member.assign({ generation, partitions, expelled });
      await clock.advance(0);
    },
    sizes: () => calls.map((batches) => batches.reduce((sum, { records }) => sum + records.length, 0)),
    seqs: (partition: number) =>
      calls
        .flat()
        .filter((batch) => batch.partition === partition)
        .flatMap(({ records }) => records.map(({ seq }) => seq)),
    changes: () => assignments.map(({ generation, gained, lost }) => ({ generation, gained, lost })),
  };
}

function recordsFrom(seq: number, count: number): LogRecord[] {
  return Array.from({ length: count }, (_, n) => ({ seq: seq + n, timeMs: 0, key: 'k', value: new Uint8Array(10) }));
}

const numbersTo = (count: number) => Array.from({ length: count }, (_, n) => n);

test('records are delivered in calls of bounded size, one in each turn, each partition in order', async () => {
  const { assign, push, turn, calls, sizes, seqs, member } = setUp();
  await assign(1, [0, 1]);
  push(0, 0, 700);
  push(1, 0, 200);
  push(0, 700, 300);
  await turn();
  assert.equal(calls.length, 1);
  assert.equal(member.queue().records, 700);
  for (let n = 0; n < 4; n++) await turn();
  assert.deepEqual(sizes(), [500, 500, 200]);
  assert.deepEqual(seqs(0), numbersTo(1_000));
  assert.deepEqual(seqs(1), numbersTo(200));
  assert.equal(member.queue().records, 0);
});

test('a subscriber with a backlog gets larger calls', async () => {
  const { assign, push, turn, sizes, seqs } = setUp();
  await assign(1, [0]);
  push(0, 0, 6_500);
  for (let n = 0; n < 8; n++) await turn();
  assert.deepEqual(sizes(), [2_000, 2_000, 500, 500, 500, 500, 500]);
  assert.deepEqual(seqs(0), numbersTo(6_500));
});

test('a rejected call is repeated after a pause, longer each time, before newer records', async () => {
  let rejections = 2;
  const { assign, push, turn, clock, calls, errors, seqs } = setUp({
    onBatches: async () => {
      if (rejections-- > 0) throw new Error('not now');
    },
  });
  await assign(1, [0]);
  push(0, 0, 2);
  await turn();
  push(0, 2, 1);
  await clock.advance(49);
  assert.equal(calls.length, 1);
  await clock.advance(1);
  assert.deepEqual(calls[1], calls[0]);
  await clock.advance(99);
  assert.equal(calls.length, 2);
  await clock.advance(1);
  assert.deepEqual(calls[2], calls[0]);
  await turn();
  assert.deepEqual(seqs(0), [0, 1, 0, 1, 0, 1, 2]);
  assert.equal(errors.length, 2);
});

test('a rejected batch of a held partition waits for the next assignment; the others are delivered', async () => {
  let isRejecting = true;
  const { assign, push, turn, clock, member, seqs } = setUp({
    onBatches: () => (isRejecting ? Promise.reject(new Error('not now')) : undefined),
  });
  await assign(1, [0, 1]);
  push(0, 0, 1);
  push(1, 0, 1);
  await turn();
  isRejecting = false;
  await member.release([0]);
  push(0, 1, 1);
  await clock.advance(1_000);
  assert.deepEqual([seqs(0), seqs(1)], [[0], [0, 0]]);
  await assign(2, [0, 1]);
  await turn();
  assert.deepEqual(seqs(0), [0, 0, 1]);
});

test('records of a lost partition are not delivered with the rest of a fetch', async () => {
  const { assign, push, turn, sizes, seqs } = setUp();
  await assign(1, [0, 1]);
  push(0, 0, 800);
  await turn();
  await assign(2, [1]);
  push(1, 0, 10);
  for (let n = 0; n < 3; n++) await turn();
  assert.deepEqual(sizes(), [500, 10]);
  assert.equal(seqs(0).length, 500);
});

test('a release resolves when no call runs and commits are written; nothing is delivered until the next assignment', async () => {
  const gate = Promise.withResolvers<void>();
  const { assign, push, turn, clock, calls, commits, member } = setUp({ onBatches: () => gate.promise });
  await assign(1, [0]);
  push(0, 0, 1);
  await turn();
  let isReleased = false;
  const released = member.release().then(() => {
    isReleased = true;
  });
  push(0, 1, 1);
  await clock.advance(100);
  assert.ok(!isReleased);
  member.commit('t', 0, 1);
  gate.resolve();
  await released;
  assert.deepEqual(commits, [{ topic: 't', partition: 0, next: 1 }]);
  await turn();
  assert.equal(calls.length, 1);
  await assign(2, [0]);
  await turn();
  assert.equal(calls.length, 2);
});

test('partitions gained while everything is released are delivered after the next assignment', async () => {
  const answer = Promise.withResolvers<undefined>();
  const { assign, push, turn, clock, calls, member } = setUp({ onAssigned: () => answer.promise });
  await assign(1, [0]);
  void member.release();
  answer.resolve(undefined);
  await clock.advance(0);
  push(0, 100, 1);
  await turn();
  assert.equal(calls.length, 0);
  await assign(2, [0]);
  await turn();
  assert.equal(calls.length, 1);
});

test('retained partitions are delivered while the subscriber determines where the gained ones start', async () => {
  const answer = Promise.withResolvers<undefined>();
  const { assign, push, turn, clock, seqs, started } = setUp({
    onAssigned: ({ generation }) => (generation === 2 ? answer.promise : undefined),
  });
  await assign(1, [0]);
  await assign(2, [0, 1]);
  push(0, 0, 1);
  await turn();
  assert.deepEqual(seqs(0), [0]);
  assert.equal(started.length, 1);
  answer.resolve(undefined);
  await clock.advance(0);
  assert.equal(started.length, 2);
});

test('a subscriber that has not answered yet is notified of the newest assignment next, without those in between', async () => {
  const answer = Promise.withResolvers<undefined>();
  const { assign, clock, changes, started } = setUp({
    onAssigned: ({ generation }) => (generation === 1 ? answer.promise : undefined),
  });
  await assign(1, [0, 1]);
  await assign(2, [1]);
  await assign(3, [1, 2]);
  answer.resolve(undefined);
  await clock.advance(0);
  assert.deepEqual(changes(), [
    { generation: 1, gained: [0, 1], lost: [] },
    { generation: 3, gained: [2], lost: [0] },
  ]);
  assert.deepEqual(
    started.map(([, partition]) => partition).filter((partition) => partition !== 0),
    [1, 2],
  );
});

test('a partition that another member had in a skipped generation is lost before it is gained again', async () => {
  const gate = Promise.withResolvers<void>();
  const { assign, push, turn, clock, changes, started, seqs, member, commits } = setUp({
    onBatches: () => gate.promise,
    committed: async () => new Map([['t', new Map([[0, 7]])]]),
  });
  await assign(1, [0, 1, 2]);
  push(0, 0, 1);
  await turn();
  push(0, 1, 5);
  push(1, 0, 1);
  await assign(2, [1]);
  await assign(3, [0, 1]);
  member.commit('t', 0, 1);
  gate.resolve();
  await clock.advance(0);
  assert.deepEqual(changes(), [
    { generation: 1, gained: [0, 1, 2], lost: [] },
    { generation: 2, gained: [], lost: [0, 2] },
    { generation: 3, gained: [0], lost: [] },
  ]);
  assert.deepEqual(started.at(-1), ['t', 0, 7], 'where the group is');
  await turn();
  await clock.advance(1_000);
  assert.deepEqual([seqs(0), seqs(1)], [[0], [0]]);
  assert.deepEqual(commits, []);
});

test('a partition that was revoked and is assigned again in the next generation is retained', async () => {
  const { assign, push, turn, changes, seqs, member } = setUp();
  await assign(1, [0]);
  push(0, 0, 1);
  await member.release([0]);
  member.revoke([0]);
  await assign(2, [0]);
  await turn();
  assert.deepEqual(seqs(0), [0]);
  assert.deepEqual(changes().at(-1), { generation: 2, gained: [], lost: [] });
});

test('a partition that is released before the subscriber was notified of it is never gained', async () => {
  const gate = Promise.withResolvers<void>();
  const { assign, push, turn, clock, changes, member } = setUp({ onBatches: () => gate.promise });
  await assign(1, [0]);
  push(0, 0, 1);
  await turn();
  await assign(2, [0, 1, 2]);
  const released = member.release([1]);
  member.revoke([2]);
  gate.resolve();
  await released;
  await clock.advance(0);
  await assign(3, [0]);
  assert.deepEqual(
    changes().map(({ gained }) => gained),
    [[0], [], []],
  );
});

test('an expulsion while the subscriber is notified repeats no generation', async () => {
  const answer = Promise.withResolvers<undefined>();
  const { assign, clock, changes } = setUp({
    onAssigned: ({ generation }) => (generation === 1 ? answer.promise : undefined),
  });
  await assign(1, [0]);
  await assign(2, [0], true);
  answer.resolve(undefined);
  await clock.advance(0);
  assert.deepEqual(changes(), [
    { generation: 1, gained: [0], lost: [] },
    { generation: 2, gained: [], lost: [] },
  ]);
});

test('an assignment that the subscriber rejects is reported, does not block the group, and is repeated after a pause', async () => {
  let rejections = 2;
  const { member, clock, changes, errors } = setUp({
    onAssigned: () => {
      if (rejections-- > 0) throw new Error('not now');
      return undefined;
    },
  });
  await member.assign({ generation: 1, partitions: [0], expelled: false });
  assert.equal(errors.length, 1);
  await clock.advance(1_000);
  assert.deepEqual(changes(), Array(3).fill({ generation: 1, gained: [0], lost: [] }));
});

test('reading starts at the position of the subscriber, else of the group, else at the first one', async () => {
  const asked: (readonly number[])[] = [];
  const { assign, started, errors } = setUp({
    topics: ['t', 'u'],
    onAssigned: () => ({ t: { 0: 7, 1: -1 } }),
    committed: async (partitions) => {
      asked.push(partitions);
      return new Map([['t', new Map([[1, 30]])]]);
    },
  });
  await assign(1, [0, 1]);
  assert.deepEqual(started, [
    ['t', 0, 7],
    ['u', 0, 100],
    ['t', 1, 30],
    ['u', 1, 101],
  ]);
  assert.deepEqual(asked, [[0, 1]]);
  assert.match(errors[0]!.message, /start of t\/1: expected a position of 0 or more, got -1/);
});

test('a failed request for committed positions is retried, without another call to the subscriber', async () => {
  let failures = 2;
  const { assign, clock, started, assignments, errors } = setUp({
    committed: async () => {
      if (failures-- > 0) throw new TailraceError('unavailable', 'no coordinator');
      return new Map();
    },
  });
  await assign(1, [0]);
  assert.deepEqual(started, []);
  await clock.advance(10_000);
  assert.deepEqual(started, [['t', 0, 100]]);
  assert.equal(assignments.length, 1);
  assert.equal(errors.length, 2);
});

test('a pending request for start positions does not delay a newer assignment', async () => {
  const { assign, changes } = setUp({ committed: () => new Promise(() => {}) });
  await assign(1, [0, 1]);
  await assign(2, [1]);
  assert.deepEqual(changes().at(-1), { generation: 2, gained: [], lost: [0] });
});

test('an expelled member that is assigned its partitions in the next generation continues to read them', async () => {
  const { assign, push, turn, seqs, changes } = setUp();
  await assign(7, [0]);
  await assign(8, [0, 1], true);
  push(0, 0, 1);
  push(1, 0, 1);
  await turn();
  assert.deepEqual([seqs(0), seqs(1)], [[0], [0]]);
  assert.deepEqual(changes(), [
    { generation: 7, gained: [0], lost: [] },
    { generation: 8, gained: [1], lost: [] },
  ]);
});

test('an expelled member that returns after a generation of others loses all partitions first', async () => {
  const { assign, changes, started } = setUp();
  await assign(7, [0]);
  await assign(9, [0], true);
  assert.deepEqual(changes(), [
    { generation: 7, gained: [0], lost: [] },
    { generation: 8, gained: [], lost: [0] },
    { generation: 9, gained: [0], lost: [] },
  ]);
  assert.equal(started.length, 2, 'and reads from where the group is');
});

test('a loss by expulsion is kept when the group changes again before the subscriber is notified', async () => {
  const gate = Promise.withResolvers<void>();
  const { assign, push, turn, clock, changes } = setUp({ onBatches: () => gate.promise });
  await assign(7, [0]);
  push(0, 0, 1);
  await turn();
  await assign(9, [0], true);
  await assign(10, [0]);
  gate.resolve();
  await clock.advance(0);
  assert.deepEqual(changes(), [
    { generation: 7, gained: [0], lost: [] },
    { generation: 9, gained: [], lost: [0] },
    { generation: 10, gained: [0], lost: [] },
  ]);
});

test('the last commit of each partition is written after `commitMs`, except of partitions of another member', async () => {
  const { assign, clock, commits, member } = setUp();
  await assign(1, [0, 1]);
  member.commit('t', 0, 1);
  member.commit('t', 0, 2);
  member.commit('t', 1, 1);
  member.commit('t', 5, 1);
  member.revoke([1]);
  member.commit('t', 1, 2);
  await clock.advance(999);
  assert.deepEqual(commits, []);
  await clock.advance(1);
  assert.deepEqual(commits, [{ topic: 't', partition: 0, next: 2 }]);
});

test('a rejected commit is written later, except of a partition that was lost in the meantime', async () => {
  const written: Commit[][] = [];
  const rejection = Promise.withResolvers<void>();
  const { assign, clock, member, errors } = setUp({
    commit: async (commits) => {
      written.push([...commits]);
      if (written.length === 1) await rejection.promise;
    },
  });
  await assign(1, [0, 1]);
  member.commit('t', 0, 5);
  member.commit('t', 1, 5);
  await clock.advance(1_000);
  assert.equal(written[0]!.length, 2);
  await assign(2, [1]);
  rejection.reject(new TailraceError('unavailable', 'a rebalance is in progress'));
  await clock.advance(1_000);
  assert.deepEqual(written[1], [{ topic: 't', partition: 1, next: 5 }]);
  assert.equal(errors.length, 1);
});

test('stop waits for the call in progress, writes its commits and leaves; there is no call after it', async () => {
  const gate = Promise.withResolvers<void>();
  const { assign, push, turn, clock, calls, commits, member, hasLeft } = setUp({ onBatches: () => gate.promise });
  await assign(1, [0]);
  push(0, 0, 1);
  await turn();
  const stopped = member.stop();
  push(0, 1, 1);
  member.commit('t', 0, 1);
  await clock.advance(5_000);
  assert.ok(!hasLeft());
  gate.resolve();
  await stopped;
  assert.ok(hasLeft());
  assert.deepEqual(commits, [{ topic: 't', partition: 0, next: 1 }]);
  await assign(2, [0, 1]);
  await turn();
  assert.equal(calls.length, 1);
  assert.equal(clock.pending(), 0);
});

test('stop waits for its last commits for at most 2 s, and reports that they are not confirmed', async () => {
  const { assign, clock, member, hasLeft, errors } = setUp({ commit: () => new Promise(() => {}) });
  await assign(1, [0]);
  member.commit('t', 0, 1);
  const stopped = member.stop();
  await clock.advance(2_000);
  await stopped;
  assert.ok(hasLeft());
  assert.match(errors[0]!.message, /last commits: expected an answer within 2000 ms/);
});

test('an aborted member writes nothing and does not block its group', async () => {
  const { assign, push, turn, clock, calls, commits, member, hasLeft } = setUp({
    onBatches: () => new Promise(() => {}),
  });
  await assign(1, [0]);
  push(0, 0, 1);
  await turn();
  member.commit('t', 0, 1);
  const released = member.release();
  const assigned = member.assign({ generation: 2, partitions: [], expelled: false });
  member.abort();
  await Promise.all([released, assigned]);
  await turn();
  assert.equal(calls.length, 1);
  assert.deepEqual(commits, []);
  assert.ok(!hasLeft());
  assert.equal(clock.pending(), 0);
});

test('a start position that rejects after the member has stopped is no unhandled rejection', async (t) => {
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown) => unhandled.push(reason);
  process.on('unhandledRejection', onUnhandled);
  t.after(() => process.off('unhandledRejection', onUnhandled));
  const start = Promise.withResolvers<number>();
  const answer = Promise.withResolvers<StartPositions>();
  const { assign, member, errors } = setUp({ onAssigned: () => answer.promise });
  await assign(1, [0]);
  await member.stop();
  answer.resolve({ t: { 0: start.promise } });
  await new Promise((resolve) => setImmediate(resolve));
  start.reject(new Error('the log cannot be read'));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(unhandled, []);
  assert.deepEqual(errors, []);
});
