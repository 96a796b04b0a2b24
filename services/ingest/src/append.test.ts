import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NewRecord, Position } from '@tailrace/eventlog/event-log';
import type { Logger } from '@tailrace/platform/logger';
import { Counter, Histogram } from '@tailrace/platform/measures';
import { noSpan } from '@tailrace/platform/tracing';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { Appender } from './append.ts';
import { LogFailures } from './intake/log-failures.ts';
import { Pressure } from './intake/pressure.ts';
import { AppendObservation } from './observer.ts';

/** An appender on a log whose appends the test settles, and the lines logged. */
function setUp() {
  const clock = createFakeClock();
  const calls: ReturnType<typeof Promise.withResolvers<readonly Position[]>>[] = [];
  const appended: (readonly NewRecord[])[] = [];
  const lines: string[] = [];
  const line = (level: string) => (_facts: object, message: string) => void lines.push(`${level}: ${message}`);
  const logger: Logger = {
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    child: () => logger,
  };
  const senders: unknown[] = [];
  const eventLog = {
    append: (_topic: string, records: readonly NewRecord[], sender?: object) => {
      appended.push(records);
      senders.push(sender);
      const call = Promise.withResolvers<readonly Position[]>();
      calls.push(call);
      return call.promise;
    },
  };
  const appendSeconds = new Histogram([0.001, 10]);
  const failedAppends = new Counter();
  const pressure = new Pressure({ clock, heldBytes: () => 0, heldBytesMax: 1_000 });
  const appender = new Appender({
    eventLog,
    topic: 't',
    deadlineMs: 5_000,
    clock,
    logFailures: new LogFailures({ clock, logger }),
    pressure,
  });
  const observation = () => new AppendObservation({ appendSeconds, failedAppends }, clock, noSpan);
  let settled = 0;
  return {
    clock,
    calls,
    appended,
    senders,
    pressure,
    /** By sender and number of reports. */
    appendOf: (sender: object, key: string, reports: number, bytes = 1) =>
      appender.append(
        sender,
        Array.from({ length: reports }, () => ({ key, value: new Uint8Array(bytes) })),
        observation(),
        () => settled++,
      ),
    lines,
    failures: failedAppends,
    appendSeconds,
    settled: () => settled,
    append: () => appender.append({}, [{ key: 'a', value: new Uint8Array() }], observation(), () => settled++),
  };
}

const isRefusal = (code: string) => (error: unknown) => {
  assert.ok(error instanceof TailraceError);
  assert.equal(error.code, code);
  assert.doesNotMatch(error.message, /10\.0\.0\.1/);
  return true;
};

test('an append resolves with the log, and leaves no timer', async () => {
  const { append, calls, clock, settled } = setUp();
  const appended = append();
  calls[0]!.resolve([]);
  await appended;
  assert.equal(settled(), 1);
  assert.equal(clock.pending(), 0);
});

test('the error of an unreachable log has no addresses, and states that a retry is safe', async () => {
  const { append, calls, failures } = setUp();
  const appended = append();
  calls[0]!.reject(new TailraceError('unavailable', 'no answer from Kafka at 10.0.0.1:9092'));
  await assert.rejects(appended, isRefusal('unavailable'));
  await assert.rejects(appended, /safe with the same ids/);
  assert.equal(failures.value, 1);
});

test('the sender gets storage_full and too_large as they are, and unavailable for any other error', async () => {
  for (const [code, expected] of [
    ['storage_full', 'storage_full'],
    ['too_large', 'too_large'],
    ['closed', 'unavailable'],
    ['not_found', 'unavailable'],
  ] as const) {
    const { append, calls } = setUp();
    const appended = append();
    calls[0]!.reject(new TailraceError(code, 'why'));
    await assert.rejects(appended, isRefusal(expected));
  }
});

test('an append fails at the deadline, and its records are released when the log settles them', async () => {
  const { append, calls, clock, settled, failures } = setUp();
  const appended = append();
  const refused = assert.rejects(appended, isRefusal('unavailable'));
  await clock.advance(5_000);
  await refused;
  assert.equal(settled(), 0);
  calls[0]!.reject(new TailraceError('unavailable', 'too late'));
  await clock.advance(0);
  assert.equal(settled(), 1);
  assert.equal(failures.value, 1);
});

test('a log without a confirmation at the deadline is away, and open again when it confirms; a full disk is named to each sender', async () => {
  const { append, calls, clock, pressure } = setUp();
  for (let second = 0; second < 4; second++) {
    const full = append();
    calls.shift()!.reject(new TailraceError('storage_full', 'why'));
    await assert.rejects(full, isRefusal('storage_full'));
    await clock.advance(1_000);
  }
  assert.equal(pressure.state, 'open');
  const tooLarge = append();
  calls[0]!.reject(new TailraceError('too_large', 'why'));
  await assert.rejects(tooLarge);
  const late = append();
  const refused = assert.rejects(late, isRefusal('unavailable'));
  await clock.advance(4_999);
  assert.equal(pressure.state, 'open');
  await clock.advance(1);
  await refused;
  assert.equal(pressure.state, 'away');
  calls[1]!.resolve([]);
  await Promise.resolve();
  assert.equal(pressure.state, 'open');
  assert.equal(clock.pending(), 0);
});

test('an outage of the log is logged once a minute, and its end once', async () => {
  const { append, calls, clock, lines } = setUp();
  const fail = async () => {
    const appended = append();
    calls.at(-1)!.reject(new TailraceError('unavailable', 'unreachable'));
    await assert.rejects(appended);
  };
  await fail();
  await fail();
  assert.equal(lines.length, 1);
  await clock.advance(60_000);
  await fail();
  assert.equal(lines.length, 2);
  const appended = append();
  calls.at(-1)!.resolve([]);
  await appended;
  assert.match(lines[2]!, /^info: the log accepts reports again/);
});

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));
const chunksOf = (appended: readonly (readonly NewRecord[])[]) =>
  appended.map((records) => `${records[0]!.key} ${records.length}`);

test('a large request is appended in chunks, and another sender waits for one of them', async () => {
  const { appendOf, appended, calls, settled } = setUp();
  const large = appendOf({}, 'large', 1_200);
  const other = appendOf({}, 'other', 1);
  assert.deepEqual(chunksOf(appended), ['large 500', 'other 1']);
  calls[1]!.resolve([]);
  await other;
  calls[0]!.resolve([]);
  await nextTurn();
  calls[2]!.resolve([]);
  await nextTurn();
  assert.deepEqual(chunksOf(appended).slice(2), ['large 500', 'large 200']);
  assert.equal(settled(), 1, 'the large request is held until all of it is confirmed');
  calls[3]!.resolve([]);
  await large;
  assert.equal(settled(), 2);
});

test('the log knows the sender of each append, small or large, so that senders take turns there', async () => {
  const { appendOf, senders, calls } = setUp();
  const [one, other] = [{}, {}];
  const all = [appendOf(one, 'large', 501), appendOf(other, 'small', 1)];
  for (let n = 0; n < 3; n++) {
    calls[n]!.resolve([]);
    await nextTurn();
  }
  await Promise.all(all);
  assert.deepEqual(
    senders.map((sender) => [one, other].indexOf(sender as object)),
    [0, 1, 0],
  );
});

test('a chunk has at most the limit of bytes, and at least one record', async () => {
  const { appendOf, appended, calls } = setUp();
  const large = appendOf({}, 'large', 5, 262_144);
  for (let n = 0; n < 3; n++) {
    calls[n]!.resolve([]);
    await nextTurn();
  }
  await large;
  assert.deepEqual(chunksOf(appended), ['large 2', 'large 2', 'large 1']);
});

test('requests of one sender are appended in their order, also a small one after a large one', async () => {
  const { appendOf, appended, calls } = setUp();
  const sender = {};
  const all = [appendOf(sender, 'first', 501), appendOf(sender, 'second', 1), appendOf(sender, 'third', 501)];
  assert.deepEqual(chunksOf(appended), ['first 500']);
  for (let n = 0; n < 5; n++) {
    calls[n]!.resolve([]);
    await nextTurn();
  }
  await Promise.all(all);
  assert.deepEqual(chunksOf(appended), ['first 500', 'first 1', 'second 1', 'third 500', 'third 1']);
  const after = appendOf(sender, 'after', 1);
  assert.equal(calls.length, 6, 'the next request is appended at once');
  calls[5]!.resolve([]);
  await after;
});

test('if a chunk fails the request fails as a whole, once, and the next request is appended', async () => {
  const { appendOf, appended, calls, failures, settled } = setUp();
  const sender = {};
  const large = appendOf(sender, 'large', 1_200);
  const behind = appendOf(sender, 'behind', 1);
  const refused = assert.rejects(large, isRefusal('unavailable'));
  calls[0]!.resolve([]);
  await nextTurn();
  calls[1]!.reject(new TailraceError('unavailable', 'no answer from Kafka at 10.0.0.1:9092'));
  await refused;
  await nextTurn();
  calls[2]!.resolve([]);
  await behind;
  assert.deepEqual(chunksOf(appended), ['large 500', 'large 500', 'behind 1']);
  assert.equal(failures.value, 1);
  assert.equal(settled(), 2);
});

test('after the deadline no further chunk is appended, and the records are released when the log settles them', async () => {
  const { appendOf, appended, calls, clock, settled } = setUp();
  const refused = assert.rejects(appendOf({}, 'large', 5_000), isRefusal('unavailable'));
  await clock.advance(5_000);
  await refused;
  assert.equal(settled(), 0);
  for (const { resolve } of calls) resolve([]);
  await nextTurn();
  assert.equal(settled(), 1);
  assert.deepEqual(chunksOf(appended), new Array(8).fill('large 500'));
});

test('while the log confirms late it gets the next chunks, in order, and at most eight unconfirmed ones', async () => {
  const { appendOf, appended, calls, clock } = setUp();
  const sender = {};
  const large = appendOf(sender, 'large', 5_001);
  const behind = appendOf(sender, 'behind', 1);
  await clock.advance(9);
  assert.equal(appended.length, 1);
  await clock.advance(1);
  assert.equal(appended.length, 2);
  await clock.advance(1_000);
  assert.equal(appended.length, 8);
  calls[0]!.resolve([]);
  await nextTurn();
  assert.equal(appended.length, 9);
  calls[1]!.resolve([]);
  await nextTurn();
  calls[2]!.resolve([]);
  await nextTurn();
  assert.deepEqual(chunksOf(appended), [...new Array(10).fill('large 500'), 'large 1', 'behind 1']);
  for (const { resolve } of calls) resolve([]);
  await Promise.all([large, behind]);
  assert.equal(clock.pending(), 0);
});

test('if a chunk fails, the request fails when the log has settled its other chunks', async () => {
  const { appendOf, appended, calls, clock, settled, failures } = setUp();
  const refused = assert.rejects(appendOf({}, 'large', 5_000), isRefusal('unavailable'));
  await clock.advance(15);
  calls[0]!.reject(new TailraceError('unavailable', 'no answer from Kafka at 10.0.0.1:9092'));
  await nextTurn();
  assert.equal(settled(), 0);
  calls[1]!.resolve([]);
  await refused;
  assert.equal(settled(), 1);
  assert.equal(failures.value, 1);
  await clock.advance(1_000);
  assert.equal(appended.length, 2);
});
