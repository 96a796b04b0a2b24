import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventLog, LogRecord } from '@tailrace/eventlog/event-log';
import type { ErrorCode } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { replaceProperty } from '@tailrace/testkit/replace-property';
import { createLocalNode } from '../../test/local-node.ts';
import { logRangesOf } from '../../test/log-ranges.ts';
import { record, type Values } from '../../test/records.ts';
import type { Reservation } from '../catch-up/memory-budget.ts';
import { InterestServer } from './interest-server.ts';

const { OwnerRequest, OwnerReply } = tailrace.v1;

interface RequestFields {
  readonly interests?: readonly { readonly channel: string; readonly from?: number }[];
  readonly released?: readonly string[];
  readonly held?: number;
  readonly node?: string;
  readonly partition?: number;
  readonly repeats?: { readonly from: number; readonly until: number };
  readonly deadlineMs?: number;
}

/** A node that owns its one partition, whose log is an array. */
function interestServer(
  options: {
    first?: number;
    owned?: boolean;
    windowBytesMax?: number;
    /** Duration of a read of the log. Default: 0. */
    readMs?: number;
    /** Advance of the clock with each reading. Default: 0. */
    stepMs?: number;
  } = {},
) {
  const { first = 0, owned = true, windowBytesMax = 0, readMs = 0, stepMs = 0 } = options;
  const node = createLocalNode({ partitions: 1, owned, windowBytesMax });
  const partition = node.partitions[0]!;
  const records: LogRecord[] = [];
  let reads = 0;
  let steppedMs = 0;
  const eventLog: Pick<EventLog, 'bounds' | 'read'> = {
    bounds: async () => [{ first, next: records.length }],
    async *read(_topic, _partition, { from, until }) {
      reads++;
      if (readMs > 0) await node.clock.sleep(readMs);
      yield records.slice(from, until).slice(0, 5);
    },
  };
  const made = new InterestServer({
    work: node.work,
    partitions: node.partitions,
    ranges: logRangesOf(eventLog),
    events: { reply: () => assert.fail('events are requested') },
    now: () => {
      steppedMs += stepMs;
      return node.clock.monotonic() + steppedMs;
    },
  });
  return {
    interests: partition.feed.interests,
    clock: node.clock,
    reads: () => reads,
    heldBytes: () => node.work.memory.heldBytes,
    /** Reserves all memory but `bytes`, until it is released. */
    leaveFree: (bytes: number) =>
      node.work.memory.reserve({ heldBytes: 0 }, node.work.memory.bytesMax - bytes) as Reservation,
    /** The partition is taken over again: its duplicates so far are no longer known. */
    takeOver() {
      const { generation, next } = partition;
      partition.lose();
      partition.gain(generation, next, next);
    },
    report(device: string, values: Values, id?: string) {
      const next = record(device, records.length, values, id);
      records.push(next);
      partition.accept([next]);
    },
    async request(fields: RequestFields): Promise<tailrace.v1.OwnerReply[]> {
      const { interests = [], released = [], node: name = 'b', partition: number = 0 } = fields;
      const held = fields.held ?? interests.length;
      const { repeats, deadlineMs = 0 } = fields;
      const plain = {
        node: name,
        partition: number,
        interests: [...interests],
        released: [...released],
        held,
        deadlineMs,
      };
      const message = repeats === undefined ? plain : { ...plain, repeats };
      const parts = await made.reply(OwnerRequest.encode(message).finish());
      return parts.map((part) => OwnerReply.decode(part));
    },
    answer: (bytes: Uint8Array) => made.reply(bytes),
  };
}

const failure = (code: ErrorCode, message: RegExp) => (error: unknown) => {
  const { code: actualCode, message: actualMessage } = error as { code: string; message: string };
  return actualCode === code && message.test(actualMessage);
};

/** Channel and positions of each part. */
const partsOf = (replies: readonly tailrace.v1.OwnerReply[]) =>
  replies.map(({ channel, next, updates }) => [channel, next, updates.map(({ seq }) => seq)]);

test('the reply for a channel that is new to a node has its last values, complete up to the next position', async () => {
  const { request, report, interests } = interestServer();
  for (const [device, values] of [
    ['p.d', 1],
    ['p.e', 2],
    ['p.d', 3],
    ['q.f', 4],
  ] as const)
    report(device, values);
  const replies = await request({ interests: [{ channel: 'p.>' }, { channel: 'q.f' }, { channel: 'q.none' }] });
  assert.deepEqual(partsOf(replies), [
    ['', 4, []],
    ['p.>', 4, [2, 1]],
    ['q.f', 4, [3]],
  ]);
  assert.equal(interests.held('b'), 3);
});

test('a node that is behind gets the backlog of its channels, oldest first', async () => {
  const { request, report } = interestServer();
  for (let i = 0; i < 10; i++) report(i % 2 === 0 ? 'p.d' : 'q.e', i);
  assert.deepEqual(
    partsOf(
      await request({
        interests: [
          { channel: 'p.d', from: 5 },
          { channel: 'q.e', from: 9 },
          { channel: '>', from: 10 },
        ],
      }),
    ),
    [
      ['', 10, []],
      ['p.d', 10, []],
      ['p.d', 10, [6, 8]],
      ['q.e', 10, []],
      ['q.e', 10, [9]],
    ],
  );
});

test('a report that was not delivered because it repeats an ID is not in the backlog', async () => {
  const { request, report } = interestServer();
  report('p.d', 1, 'x');
  report('p.d', 2);
  report('p.d', 1, 'x');
  report('p.d', 3, 'y');
  const replies = await request({ interests: [{ channel: 'p.d', from: 1 }] });
  assert.deepEqual(
    replies.at(-1)?.updates.map(({ seq }) => seq),
    [1, 3],
  );
});

test('reports in the window are not read from the log', async () => {
  const { request, report, reads } = interestServer({ windowBytesMax: 1_048_576 });
  report('p.d', 1, 'x');
  report('p.d', 2);
  report('q.e', 2);
  report('p.d', 1, 'x');
  report('p.d', 3, 'y');
  const replies = await request({ interests: [{ channel: 'p.d', from: 1 }] });
  assert.deepEqual(partsOf(replies).slice(1), [
    ['p.d', 5, []],
    ['p.d', 5, [1, 4]],
  ]);
  assert.equal(reads(), 0);
});

test('a node gets the positions that repeat a message ID, and the position from which they are known', async () => {
  const { request, report, interests } = interestServer();
  for (const id of ['x', 'y', 'x', 'x', 'z', 'y']) report('p.d', 1, id);
  const [reply, ...others] = await request({ repeats: { from: 1, until: 5 } });
  assert.deepEqual(others, []);
  assert.deepEqual([reply?.decidedFrom, reply?.next, reply?.repeated], [0, 5, [1, 2]]);
  assert.equal((await request({ repeats: { from: 1, until: 100 } }))[0]?.next, 6, 'no further than it has read');
  assert.ok(interests.isEmpty, 'it registers no interest');
});

test('if the log has deleted a part of the backlog, the last values of that part are sent first', async () => {
  const { request, report } = interestServer({ first: 6 });
  for (let i = 0; i < 10; i++) report(i === 4 ? 'p.e' : 'p.d', i);
  const [, head, updates] = await request({ interests: [{ channel: 'p.>', from: 2 }] });
  assert.equal(head?.missingUntil, 6);
  assert.deepEqual(
    updates?.updates.map(({ seq }) => seq),
    [4, 6, 7, 8, 9],
  );
});

test('a node too far behind gets a part of the backlog with its end, and the rest with the next request', async (t) => {
  t.after(replaceProperty(InterestServer, 'backlogRecordsMax', 4));
  const { request, report } = interestServer();
  for (let i = 0; i < 10; i++) report('p.d', i);
  const first = await request({ interests: [{ channel: 'p.d', from: 1 }, { channel: 'p.>' }] });
  assert.deepEqual(partsOf(first), [
    ['', 10, []],
    ['p.>', 10, [9]],
    ['p.d', 5, []],
    ['p.d', 5, [1, 2, 3, 4]],
  ]);
  assert.deepEqual(partsOf(await request({ interests: [{ channel: 'p.d', from: 5 }], held: 2 })).slice(1), [
    ['p.d', 9, []],
    ['p.d', 9, [5, 6, 7, 8]],
  ]);
});

test('the range that the log has deleted is named', async () => {
  const { request, report } = interestServer({ first: 6 });
  for (let i = 0; i < 10; i++) report('p.d', i);
  const [, head, updates] = await request({ interests: [{ channel: 'p.d', from: 2 }] });
  assert.equal(head?.missingUntil, 6);
  assert.deepEqual(
    updates?.updates.map(({ seq }) => seq),
    [6, 7, 8, 9],
  );
});

test('large replies are split into parts that fit the bus', async () => {
  const { request, report } = interestServer();
  const text = 'x'.repeat(4_000);
  for (let i = 0; i < 300; i++) report(`p.d${i}`, { text });
  const replies = await request({ interests: [{ channel: 'p.>' }] });
  assert.ok(replies.length > 4);
  for (const reply of replies) {
    const bytes = reply.updates.reduce((sum, { report: each }) => sum + (each?.length ?? 0), 0);
    assert.ok(bytes < 300 * 1024, `${bytes} bytes`);
  }
  assert.equal(replies.flatMap(({ updates }) => updates).length, 300);
});

test('a different count of channels is a conflict, and all interest of the node is removed', async () => {
  const { request, interests } = interestServer();
  await request({ interests: [{ channel: 'p.d' }, { channel: 'p.e' }] });
  await assert.rejects(
    request({ interests: [{ channel: 'p.f' }], held: 1 }),
    failure('conflict', /b: expected 3 registered channels, got 1/),
  );
  assert.equal(interests.held('b'), 0);
  await request({ interests: [{ channel: 'p.d' }, { channel: 'p.e' }, { channel: 'p.f' }] });
  await request({ released: ['p.e'], interests: [{ channel: 'p.g' }], held: 3 });
  assert.equal(interests.held('b'), 3);
});

test('a node that does not own the partition refuses the request, and registers nothing', async () => {
  const elsewhere = interestServer({ owned: false });
  await assert.rejects(
    elsewhere.request({ interests: [{ channel: 'p.d' }] }),
    failure('unavailable', /that this node owns, got 0:/),
  );
  assert.equal(elsewhere.interests.isEmpty, true);
  await assert.rejects(
    interestServer().request({ partition: 9 }),
    failure('unavailable', /that this node owns, got 9:/),
  );
});

test('invalid requests, and interest in invalid patterns, are refused', async () => {
  const { answer, request, interests } = interestServer();
  await assert.rejects(
    answer(Uint8Array.of(0x0a, 9)),
    failure('invalid_message', /expected an OwnerRequest, got 2 other bytes/),
  );
  await assert.rejects(request({ interests: [{ channel: 'p.*' }] }), failure('invalid_pattern', /"p\.\*"/));
  assert.equal(interests.isEmpty, true);
});

test('an owner stops work on a reply that the node no longer waits for', async () => {
  const { request, report, reads, clock, heldBytes } = interestServer({ readMs: 600 });
  for (let i = 0; i < 20; i++) report('p.d', i);
  const answer = request({ interests: [{ channel: 'p.d', from: 0 }], deadlineMs: 500 });
  const rejected = assert.rejects(answer, { code: 'closed' });
  await clock.advance(10_000);
  await rejected;
  assert.equal(reads(), 1);
  assert.equal(heldBytes(), 0);
});

test('of two requests of a node for the same partition only the second gets a reply', async () => {
  const { request, report, clock, interests } = interestServer({ readMs: 200 });
  for (let i = 0; i < 20; i++) report('p.d', i);
  const first = assert.rejects(request({ interests: [{ channel: 'p.d', from: 0 }] }), { code: 'closed' });
  const second = request({ interests: [{ channel: 'p.d', from: 19 }] });
  const other = request({ interests: [{ channel: 'p.d', from: 18 }], node: 'c' });
  await clock.advance(10_000);
  await first;
  assert.deepEqual(partsOf(await second).at(-1), ['p.d', 20, [19]]);
  assert.deepEqual(partsOf(await other).at(-1), ['p.d', 20, [18, 19]]);
  assert.equal(interests.held('b'), 1);
});

test('channels without time are deferred, and at least one is complete', async () => {
  // Half of the deadline has passed at the second reading of the clock.
  const { request, report } = interestServer({ stepMs: 500 });
  for (const device of ['p.d', 'p.e', 'p.f']) report(device, 1);
  const interests = [{ channel: 'p.d' }, { channel: 'p.e' }, { channel: 'p.f', from: 0 }];
  const replies = await request({ interests, deadlineMs: 2_000 });
  assert.deepEqual(
    replies.slice(1).map(({ channel, deferred, updates }) => [channel, deferred, updates.length]),
    [
      ['p.d', false, 1],
      ['p.e', true, 0],
      ['p.f', true, 0],
    ],
  );
  const rest = await request({ interests: interests.slice(2), held: 3, deadlineMs: 10_000 });
  assert.deepEqual(partsOf(rest).at(-1), ['p.f', 3, [2]]);
});

/** Values of 200 KB. */
const large = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`t${i}`, 'x'.repeat(1_000)]));

test('a channel of many devices waits for the memory of one part of its reply only', async () => {
  const { request, report, leaveFree, heldBytes } = interestServer();
  for (let i = 0; i < 2_000; i++) report(`p.d${i}`, 1);
  const others = leaveFree(400_000);
  const replies = await request({ interests: [{ channel: 'p.>' }] });
  assert.equal(replies.flatMap(({ updates }) => updates).length, 2_000);
  assert.equal(heldBytes(), others.bytes);
});

test('channels without memory are deferred, and at least one is complete', async () => {
  const { request, report, leaveFree, heldBytes } = interestServer();
  for (const device of ['p.d', 'p.e', 'p.f']) report(device, large);
  const others = leaveFree(300_000);
  const interests = [{ channel: 'p.d' }, { channel: 'p.e' }, { channel: 'p.f', from: 0 }];
  const replies = await request({ interests });
  assert.deepEqual(
    replies.slice(1).map(({ channel, deferred, updates }) => [channel, deferred, updates.length]),
    [
      ['p.d', false, 1],
      ['p.e', true, 0],
      ['p.f', true, 0],
    ],
  );
  assert.equal(heldBytes(), others.bytes);
});

test('a first channel that does not fit is complete once there is memory for all of it', async () => {
  const { request, report, leaveFree, heldBytes, clock } = interestServer();
  for (let i = 0; i < 4; i++) report(`p.d${i}`, large);
  const others = leaveFree(300_000);
  let isComplete = false;
  const answer = request({ interests: [{ channel: 'p.>' }] }).finally(() => {
    isComplete = true;
  });
  await clock.advance(1_000);
  assert.equal(isComplete, false);
  assert.equal(heldBytes(), others.bytes, 'it holds nothing while it waits');
  others.release();
  await clock.advance(1_000);
  const updates = (await answer).flatMap((reply) => reply.updates);
  assert.deepEqual(
    updates.map(({ seq }) => Number(seq)),
    [0, 1, 2, 3],
  );
  assert.equal(heldBytes(), 0);
});

test('a node that is behind gets no duplicates without memory for the message IDs', async () => {
  const { request, report, leaveFree, takeOver, clock, heldBytes } = interestServer();
  report('q.f', large);
  for (let i = 0; i < 24_000; i++) report('p.d', 1, `${i}`);
  const from = 24_001;
  report('p.d', 1, '0');
  report('p.d', 1, 'new');
  takeOver();
  report('q.f', large);
  const others = leaveFree(300_000);
  // The new channel has used the free memory.
  const replies = await request({ interests: [{ channel: 'q.f' }, { channel: 'p.d', from }] });
  assert.deepEqual(
    replies.slice(1).map(({ channel, deferred, updates }) => [channel, deferred, updates.length]),
    [
      ['q.f', false, 1],
      ['p.d', true, 0],
    ],
  );
  const answer = request({ interests: [{ channel: 'p.d', from }], held: 2 });
  await clock.advance(1_000);
  assert.equal(heldBytes(), others.bytes, 'it holds nothing while it waits');
  others.release();
  await clock.advance(1_000);
  assert.deepEqual(partsOf(await answer).at(-1), ['p.d', 24_004, [24_002]]);
  assert.equal(heldBytes(), 0);
});
