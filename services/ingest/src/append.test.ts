import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NewRecord, Position } from '@tailrace/eventlog/event-log';
import type { Logger } from '@tailrace/platform/logger';
import { Counter, Histogram } from '@tailrace/platform/measures';
import { noSpan } from '@tailrace/platform/tracing';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { Appender } from './append.ts';
import { AppendObservation } from './observer.ts';

/** A log whose appends the test settles, and what was logged meanwhile. */
function setUp() {
  const clock = createFakeClock();
  const calls: ReturnType<typeof Promise.withResolvers<readonly Position[]>>[] = [];
  const appended: (readonly NewRecord[])[] = [];
  const lines: string[] = [];
  const line = (level: string) => (_facts: object, sentence: string) => void lines.push(`${level}: ${sentence}`);
  const logger: Logger = {
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    child: () => logger,
  };
  const eventLog = {
    append: (_topic: string, records: readonly NewRecord[]) => {
      appended.push(records);
      const call = Promise.withResolvers<readonly Position[]>();
      calls.push(call);
      return call.promise;
    },
  };
  const appendSeconds = new Histogram([0.001, 10]);
  const failedAppends = new Counter();
  const appender = new Appender({ eventLog, topic: 't', deadlineMs: 5_000, clock, logger });
  const observation = () => new AppendObservation({ appendSeconds, failedAppends }, clock, noSpan);
  let settled = 0;
  return {
    clock,
    calls,
    appended,
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

const told = (code: string) => (error: unknown) => {
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

test('a log that is away is told of without its addresses, with the word that a retry is safe', async () => {
  const { append, calls, failures } = setUp();
  const appended = append();
  calls[0]!.reject(new TailraceError('unavailable', 'no answer from Kafka at 10.0.0.1:9092'));
  await assert.rejects(appended, told('unavailable'));
  await assert.rejects(appended, /safe with the same ids/);
  assert.equal(failures.value, 1);
});

test('a full log is told of as full, a record too large as too large, anything else as unavailable', async () => {
  for (const [code, expected] of [
    ['storage_full', 'storage_full'],
    ['too_large', 'too_large'],
    ['closed', 'unavailable'],
    ['not_found', 'unavailable'],
  ] as const) {
    const { append, calls } = setUp();
    const appended = append();
    calls[0]!.reject(new TailraceError(code, 'why'));
    await assert.rejects(appended, told(expected));
  }
});

test('a log that does not answer is given up at the deadline, and its records are released when it lets go of them', async () => {
  const { append, calls, clock, settled, failures } = setUp();
  const appended = append();
  const refused = assert.rejects(appended, told('unavailable'));
  await clock.advance(5_000);
  await refused;
  assert.equal(settled(), 0);
  calls[0]!.reject(new TailraceError('unavailable', 'too late'));
  await clock.advance(0);
  assert.equal(settled(), 1);
  assert.equal(failures.value, 1);
});

test('a log that stays away is logged once a minute, and its return once', async () => {
  const { append, calls, clock, lines } = setUp();
  const fail = async () => {
    const appended = append();
    calls.at(-1)!.reject(new TailraceError('unavailable', 'away'));
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
  assert.match(lines[2]!, /^info: the log takes reports again/);
});

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));
const partsOf = (appended: readonly (readonly NewRecord[])[]) =>
  appended.map((records) => `${records[0]!.key} ${records.length}`);

test('a large request is appended in parts, and another sender waits for one of them', async () => {
  const { appendOf, appended, calls, settled } = setUp();
  const large = appendOf({}, 'large', 1_200);
  const other = appendOf({}, 'other', 1);
  assert.deepEqual(partsOf(appended), ['large 500', 'other 1']);
  calls[1]!.resolve([]);
  await other;
  calls[0]!.resolve([]);
  await nextTurn();
  calls[2]!.resolve([]);
  await nextTurn();
  assert.deepEqual(partsOf(appended).slice(2), ['large 500', 'large 200']);
  assert.equal(settled(), 1, 'the large request is held until the log has all of it');
  calls[3]!.resolve([]);
  await large;
  assert.equal(settled(), 2);
});

test('a part has no more bytes than the limit, and at least one record', async () => {
  const { appendOf, appended, calls } = setUp();
  const large = appendOf({}, 'large', 5, 262_144);
  for (let n = 0; n < 3; n++) {
    calls[n]!.resolve([]);
    await nextTurn();
  }
  await large;
  assert.deepEqual(partsOf(appended), ['large 2', 'large 2', 'large 1']);
});

test('requests of one sender are appended in their order, small ones behind a large one too', async () => {
  const { appendOf, appended, calls } = setUp();
  const sender = {};
  const all = [appendOf(sender, 'first', 501), appendOf(sender, 'second', 1), appendOf(sender, 'third', 501)];
  assert.deepEqual(partsOf(appended), ['first 500']);
  for (let n = 0; n < 5; n++) {
    calls[n]!.resolve([]);
    await nextTurn();
  }
  await Promise.all(all);
  assert.deepEqual(partsOf(appended), ['first 500', 'first 1', 'second 1', 'third 500', 'third 1']);
  const after = appendOf(sender, 'after', 1);
  assert.equal(calls.length, 6, 'nothing is left in the way of the next request');
  calls[5]!.resolve([]);
  await after;
});

test('where a part fails the request fails as a whole, once, and what is behind it goes on', async () => {
  const { appendOf, appended, calls, failures, settled } = setUp();
  const sender = {};
  const large = appendOf(sender, 'large', 1_200);
  const behind = appendOf(sender, 'behind', 1);
  const refused = assert.rejects(large, told('unavailable'));
  calls[0]!.resolve([]);
  await nextTurn();
  calls[1]!.reject(new TailraceError('unavailable', 'no answer from Kafka at 10.0.0.1:9092'));
  await refused;
  await nextTurn();
  calls[2]!.resolve([]);
  await behind;
  assert.deepEqual(partsOf(appended), ['large 500', 'large 500', 'behind 1']);
  assert.equal(failures.value, 1);
  assert.equal(settled(), 2);
});

test('after the deadline no further part is appended, and the bytes are released when the log lets go', async () => {
  const { appendOf, appended, calls, clock, settled } = setUp();
  const refused = assert.rejects(appendOf({}, 'large', 5_000), told('unavailable'));
  await clock.advance(5_000);
  await refused;
  assert.equal(settled(), 0);
  for (const { resolve } of calls) resolve([]);
  await nextTurn();
  assert.equal(settled(), 1);
  assert.deepEqual(partsOf(appended), new Array(8).fill('large 500'));
});

test('a log that confirms late is given the next parts meanwhile, in order, and at most eight that it has not confirmed', async () => {
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
  assert.deepEqual(partsOf(appended), [...new Array(10).fill('large 500'), 'large 1', 'behind 1']);
  for (const { resolve } of calls) resolve([]);
  await Promise.all([large, behind]);
  assert.equal(clock.pending(), 0);
});

test('where a part fails, the request fails when the log has settled the parts that are under way', async () => {
  const { appendOf, appended, calls, clock, settled, failures } = setUp();
  const refused = assert.rejects(appendOf({}, 'large', 5_000), told('unavailable'));
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
