import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import { test } from 'node:test';
import type { NewRecord, RecordSettled } from '@tailrace/eventlog/event-log';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { silentLogger } from '@tailrace/platform/logger';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { IntakeEntry, type IntakeSource } from './intake-entry.ts';
import { LogFailures } from './log-failures.ts';
import { MessageIntake, type MessageIntakeOptions } from './message-intake.ts';
import { Pressure } from './pressure.ts';

/** A call of `appendEach` whose records the test settles. */
interface HeldCall {
  readonly keys: readonly string[];
  readonly settled: RecordSettled;
}

/** An intake on a log whose calls the test settles, and what its source receives. */
function setUp(options: Partial<MessageIntakeOptions> = {}) {
  const clock = createFakeClock();
  const calls: HeldCall[] = [];
  const received: string[] = [];
  const lines: string[] = [];
  const line = (level: string) => (_facts: object, message: string) => void lines.push(`${level}: ${message}`);
  const logger = { ...silentLogger, info: line('info'), error: line('error') };
  const pressure = new Pressure({ clock, heldBytes: () => intake.heldBytes, heldBytesMax: 1_000_000 });
  const appended: number[] = [];
  const seconds: number[] = [];
  const intake: MessageIntake = new MessageIntake({
    eventLog: {
      appendEach: (_topic, records, settled) => void calls.push({ keys: records.map(({ key }) => key), settled }),
    },
    topic: 't',
    ackDeadlineMs: 5_000,
    unsettledMax: 100_000,
    pressure,
    observer: { appended: (messages) => appended.push(messages), settled: (each) => seconds.push(each) },
    clock,
    logger,
    logFailures: new LogFailures({ clock, logger }),
    ...options,
  });
  /** Returns a source that notes what it receives. */
  const sourceOf = (name: string): IntakeSource => ({
    settled: (entry, error) =>
      void received.push(
        `${name}${entry.token} ${entry.state}${entry.isLate ? ' (late)' : ''} ${error?.code ?? entry.seq}`,
      ),
    flushAcks: () => void received.push(`${name} acks`),
  });
  const source = sourceOf('s');
  const add = (token: number, from: IntakeSource = source, startedMs = clock.monotonic()) => {
    const entry = new IntakeEntry(from, token, '', { key: `d${token}`, value: Uint8Array.of(1) }, 10, startedMs);
    intake.add(entry);
    return entry;
  };
  return { clock, calls, received, lines, pressure, appended, seconds, intake, sourceOf, add };
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));
const unavailable = () => new TailraceError('unavailable', 'no answer from Kafka at 10.0.0.1:9092');

test('a message is acknowledged after the log has confirmed it, and not before', async () => {
  const { add, calls, received, intake, clock } = setUp();
  const entry = add(1);
  await nextTurn();
  assert.deepEqual(received, []);
  assert.equal(entry.state, 'waiting');
  assert.deepEqual([intake.unsettled, intake.heldBytes], [1, 10]);
  calls[0]!.settled(0, undefined, 3, 42);
  await nextTurn();
  assert.deepEqual(received, ['s1 settled 42', 's acks']);
  assert.deepEqual([entry.partition, entry.seq, entry.value.length], [3, 42, 0]);
  assert.deepEqual([intake.unsettled, intake.heldBytes, intake.oldestMs], [0, 0, 0]);
  await clock.advance(100);
  assert.equal(clock.pending(), 0, 'an idle intake has no timer');
});

test('the messages of one turn are one call of the log, and each source sends its answers once', async () => {
  const { add, calls, received, sourceOf, appended, clock, seconds } = setUp();
  const [a, b] = [sourceOf('a'), sourceOf('b')];
  add(1, a);
  add(2, b);
  add(3, a);
  await nextTurn();
  assert.deepEqual(calls[0]!.keys, ['d1', 'd2', 'd3']);
  add(4, a);
  await nextTurn();
  assert.deepEqual(appended, [3, 1]);
  await clock.advance(20);
  for (const index of [2, 0, 1]) calls[0]!.settled(index, undefined, 0, index);
  calls[1]!.settled(0, undefined, 0, 3);
  await nextTurn();
  assert.deepEqual(received, ['a3 settled 2', 'a1 settled 0', 'b2 settled 1', 'a4 settled 3', 'a acks', 'b acks']);
  assert.deepEqual(seconds, [0.02, 0.02]);
});

test('the log settles each message by itself, and the error of one changes no other', async () => {
  const { add, calls, received, lines } = setUp();
  for (const token of [1, 2, 3]) add(token);
  await nextTurn();
  const { settled } = calls[0]!;
  settled(1, new TailraceError('too_large', 'record with key "d2": too many bytes'), -1, -1);
  assert.deepEqual(lines, [], 'a record that is too large is no outage');
  settled(0, undefined, 0, 7);
  settled(2, unavailable(), -1, -1);
  await nextTurn();
  assert.deepEqual(received, ['s2 settled too_large', 's1 settled 7', 's3 settled unavailable', 's acks']);
  assert.deepEqual(lines, ['error: the log accepts no reports; their senders are to send them again']);
});

test('the refusal has no addresses, and messages that fail together share it', async () => {
  const errors: (TailraceError | undefined)[] = [];
  const { add, calls, intake, lines } = setUp();
  const source: IntakeSource = { settled: (_, error) => void errors.push(error), flushAcks: () => {} };
  for (const token of [1, 2]) add(token, source);
  await nextTurn();
  const error = unavailable();
  for (const index of [0, 1]) calls[0]!.settled(index, error, -1, -1);
  await nextTurn();
  assert.equal(errors[0], errors[1]);
  assert.equal(errors[0]!.retryable, true);
  assert.match(errors[0]!.message, /safe with the same ids/);
  assert.doesNotMatch(errors[0]!.message, /10\.0\.0\.1/);
  add(3, source);
  await nextTurn();
  calls[1]!.settled(0, undefined, 0, 0);
  assert.match(lines.at(-1)!, /^info: the log accepts reports again/);
  assert.equal(intake.unsettled, 0);
});

test('a message that the log has not confirmed in 5 s is refused as retryable, and confirmed late it is settled again', async () => {
  const { add, calls, received, intake, clock } = setUp();
  const entry = add(1);
  await nextTurn();
  await clock.advance(4_900);
  assert.deepEqual(received, []);
  await clock.advance(100);
  assert.deepEqual(received, ['s1 late (late) unavailable', 's acks']);
  assert.equal(entry.state, 'late');
  assert.deepEqual([intake.unsettled, intake.heldBytes, intake.oldestMs], [1, 10, 5_000], 'its bytes are held');
  await clock.advance(1_000);
  assert.equal(received.length, 2, 'it is refused once');
  calls[0]!.settled(0, undefined, 0, 9);
  await nextTurn();
  assert.deepEqual(received.slice(2), ['s1 settled (late) 9', 's acks']);
  assert.deepEqual([intake.unsettled, intake.heldBytes], [0, 0]);
});

test('the deadline counts from the receipt: a message that waited in its session is refused before those before it', async () => {
  const { add, received, clock, intake } = setUp();
  await clock.advance(10_000);
  add(1);
  add(2, undefined, clock.monotonic() - 4_000);
  await nextTurn();
  assert.equal(intake.oldestMs, 4_000);
  await clock.advance(1_000);
  assert.deepEqual(received, ['s2 late (late) unavailable', 's acks']);
  await clock.advance(4_000);
  assert.deepEqual(received.slice(2), ['s1 late (late) unavailable', 's acks']);
});

test('messages that a log settles in any order leave the list, whichever wait', async () => {
  const { add, calls, intake } = setUp();
  for (let token = 0; token < 6; token++) add(token);
  await nextTurn();
  const left = new Set([0, 1, 2, 3, 4, 5]);
  for (const index of [3, 0, 5, 2, 4, 1]) {
    calls[0]!.settled(index, undefined, 0, 0);
    left.delete(index);
    assert.deepEqual([intake.unsettled, intake.heldBytes], [left.size, left.size * 10]);
  }
});

test('more messages than one call takes follow in the next turns, in order', async () => {
  const { add, calls } = setUp();
  for (let token = 0; token < 4_500; token++) add(token);
  await nextTurn();
  assert.equal(calls.length, 1);
  add(4_500);
  await nextTurn();
  await nextTurn();
  assert.deepEqual(
    calls.map(({ keys }) => keys.length),
    [2_000, 2_000, 501],
  );
  assert.deepEqual(
    calls.flatMap(({ keys }) => keys),
    Array.from({ length: 4_501 }, (_, n) => `d${n}`),
  );
});

test('at the limit of unsettled messages a message is refused and not appended, and accepted again afterwards', async () => {
  const { add, calls, received, intake } = setUp({ unsettledMax: 2 });
  for (const token of [1, 2, 3]) add(token);
  assert.equal(intake.isFull, true);
  assert.deepEqual(received, [], 'not within add');
  await nextTurn();
  assert.deepEqual(calls[0]!.keys, ['d1', 'd2']);
  assert.deepEqual(received, ['s3 settled unavailable', 's acks']);
  calls[0]!.settled(0, undefined, 0, 0);
  assert.equal(intake.isFull, false);
  add(4);
  await nextTurn();
  assert.deepEqual(calls[1]!.keys, ['d4']);
});

test('a source that throws affects neither the log nor other sources', async () => {
  const { add, calls, received, sourceOf, lines } = setUp();
  const broken: IntakeSource = {
    settled() {
      throw new Error('settled');
    },
    flushAcks() {
      throw new Error('flushAcks');
    },
  };
  add(1, broken);
  add(2, sourceOf('b'));
  await nextTurn();
  calls[0]!.settled(0, undefined, 0, 0);
  calls[0]!.settled(1, undefined, 0, 1);
  await nextTurn();
  assert.deepEqual(received, ['b2 settled 1', 'b acks']);
  assert.deepEqual(lines, [
    'error: the answer to a message could not be handled',
    'error: the answers to messages could not be sent',
  ]);
});

test('a drain resolves when the log has settled all messages; a closed intake has no timer and refuses', async () => {
  const { add, calls, received, intake, clock } = setUp();
  await intake.drain();
  add(1);
  let isDrained = false;
  const drained = intake.drain().then(() => {
    isDrained = true;
  });
  await nextTurn();
  assert.equal(isDrained, false);
  calls[0]!.settled(0, undefined, 0, 0);
  await drained;
  assert.equal(received.at(-1), 's acks', 'after the answers');
  intake.close();
  intake.close();
  assert.equal(clock.pending(), 0);
  add(2);
  await nextTurn();
  assert.deepEqual(received.slice(-2), ['s2 settled closed', 's acks']);
  assert.equal(calls.length, 1);
});

test('the pressure learns what the log settles: away when nothing is confirmed, open at the first confirmed message', async () => {
  const { add, calls, pressure, clock } = setUp();
  add(1);
  await nextTurn();
  await clock.advance(1_200);
  assert.equal(pressure.state, 'slow');
  await clock.advance(4_000);
  assert.equal(pressure.state, 'away');
  calls[0]!.settled(0, unavailable(), -1, -1);
  await nextTurn();
  assert.equal(pressure.state, 'away');
  add(2);
  await nextTurn();
  calls[1]!.settled(0, undefined, 0, 0);
  await clock.advance(1_500);
  assert.equal(pressure.state, 'open');
  assert.equal(clock.pending(), 0);
});

test('no message allocates a promise', async () => {
  const { add, intake, appended, sourceOf } = setUp({
    eventLog: {
      appendEach: (_topic: string, records: readonly NewRecord[], settled: RecordSettled) =>
        setImmediate(() => {
          for (let index = 0; index < records.length; index++) settled(index, undefined, 0, index);
        }),
    },
  });
  const source: IntakeSource = { ...sourceOf('s'), settled: () => {} };
  let promises = 0;
  const hook = createHook({
    init(_id, type) {
      if (type === 'PROMISE') promises++;
    },
  }).enable();
  for (let token = 0; token < 10_000; token++) add(token, source);
  await intake.drain();
  hook.disable();
  assert.equal(appended.length, 5);
  // The test runner has some of its own.
  assert.ok(promises < 100, `${promises} promises of 10,000 messages`);
});

test('messages are in the log in the order of their device', async () => {
  const clock = createFakeClock();
  const eventLog = createMemoryLog({ clock }).connect();
  await eventLog.start();
  await eventLog.ensureTopic({ name: 't', partitions: 2, retentionMs: 1e9, retentionBytes: 1e9 });
  const { intake, sourceOf } = setUp({ eventLog });
  const devices = ['plant1.a', 'plant1.b', 'plant1.c'];
  for (let n = 0; n < 300; n++) {
    const record = { key: devices[n % 3]!, value: Buffer.from(String(n)) };
    intake.add(new IntakeEntry(sourceOf('s'), n, `m${n}`, record, 1, 0));
    if (n % 50 === 0) await nextTurn();
  }
  await intake.drain();
  const read = new Map<string, number[]>(devices.map((device) => [device, []]));
  for (const partition of [0, 1])
    for await (const batch of eventLog.read('t', partition, { from: 0 }))
      for (const { key, value } of batch) read.get(key)!.push(Number(Buffer.from(value).toString()));
  for (const [n, device] of devices.entries())
    assert.deepEqual(
      read.get(device),
      Array.from({ length: 100 }, (_, each) => 3 * each + n),
    );
  await eventLog.close();
});

test('a message that the log refuses for missing rights is whole when it is added again', async () => {
  const { add, calls, intake, received } = setUp();
  const entry = add(1);
  await nextTurn();
  calls[0]!.settled(0, new TailraceError('forbidden', 'TOPIC_AUTHORIZATION_FAILED'), -1, -1);
  await nextTurn();
  assert.deepEqual(received, ['s1 settled unavailable', 's acks'], 'an operator may grant them');
  assert.deepEqual([...entry.value], [1]);
  intake.add(entry);
  assert.equal(entry.state, 'waiting');
  await nextTurn();
  assert.deepEqual(calls[1]!.keys, ['d1']);
});
