import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventLog, Position } from '@tailrace/eventlog/eventlog';
import type { Log } from '@tailrace/platform/log';
import { Counter, Histogram } from '@tailrace/platform/measures';
import { noTracing } from '@tailrace/platform/tracing';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fakeclock';
import { Telemetry } from './append.ts';

/** A log whose appends the test settles, and what was said meanwhile. */
function setUp() {
  const clock = createFakeClock();
  const calls: ReturnType<typeof Promise.withResolvers<readonly Position[]>>[] = [];
  const said: string[] = [];
  const say = (level: string) => (_facts: object, sentence: string) => void said.push(`${level}: ${sentence}`);
  const log: Log = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error'), child: () => log };
  const eventLog = {
    append: () => {
      const call = Promise.withResolvers<readonly Position[]>();
      calls.push(call);
      return call.promise;
    },
  } as unknown as EventLog;
  const appendSeconds = new Histogram([0.001, 10]);
  const failures = new Counter();
  const parts = { eventLog, topic: 't', deadlineMs: 5_000, clock, log, tracing: noTracing };
  const telemetry = new Telemetry({ ...parts, appendSeconds, failures });
  let settled = 0;
  return {
    clock,
    calls,
    said,
    failures,
    appendSeconds,
    settled: () => settled,
    append: () => telemetry.append([{ key: 'a', value: new Uint8Array() }], () => settled++),
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

test('a log that stays away is said once a minute, and its return once', async () => {
  const { append, calls, clock, said } = setUp();
  const fail = async () => {
    const appended = append();
    calls.at(-1)!.reject(new TailraceError('unavailable', 'away'));
    await assert.rejects(appended);
  };
  await fail();
  await fail();
  assert.equal(said.length, 1);
  await clock.advance(60_000);
  await fail();
  assert.equal(said.length, 2);
  const appended = append();
  calls.at(-1)!.resolve([]);
  await appended;
  assert.match(said[2]!, /^info: the log takes reports again/);
});
