import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NewRecord, RecordSettled } from '@tailrace/eventlog/event-log';
import { silentLogger } from '@tailrace/platform/logger';
import { Counter } from '@tailrace/platform/measures';
import { TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { partitionOf } from '@tailrace/protocol/partition';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { closeReasons, type PresenceCounts } from './presence-events.ts';
import { SessionEvents, sessionEventsMax } from './session-events.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function setUp() {
  const clock = createFakeClock({ nowMs: 1_764_446_400_000 });
  const calls: { readonly records: readonly NewRecord[]; readonly settled: RecordSettled }[] = [];
  const closed = Object.fromEntries(closeReasons.map((reason) => [reason, new Counter()]));
  const counts = { started: new Counter(), conflicts: new Counter(), dropped: new Counter(), closed } as PresenceCounts;
  const events = new SessionEvents({
    eventLog: { appendEach: (_topic, records, settled) => void calls.push({ records, settled }) },
    topic: 'tailrace.events',
    partitions: 3,
    node: 'ingest-0',
    epoch: () => 'e1',
    counts,
    clock,
    logger: silentLogger,
  });
  /** Settles the calls so far, and returns the events in them. */
  const settle = (error?: TailraceError) =>
    calls.splice(0).flatMap(({ records, settled }) =>
      records.map(({ key, value }, index) => {
        settled(index, error, error === undefined ? 0 : -1, error === undefined ? 1 : -1);
        return { key, ...plain(value) };
      }),
    );
  return { clock, events, counts, calls, settle };
}

/** Returns an event as plain objects. */
const plain = (value: Uint8Array): object => {
  const event = JSON.parse(JSON.stringify(tailrace.v1.Event.decode(value)));
  // Random for each process.
  for (const fields of [event.sessionStarted, event.ingestAlive]) if (fields) fields.process &&= 'p';
  return event;
};
const facts = (number: number, device = 'plant1.a') => ({ device, number, protocol: 'websocket' });
const away = new TailraceError('unavailable', 'no answer');

test('the events of one turn are one call of the log, keyed by device', async () => {
  const { events, calls, settle, counts } = setUp();
  events.started(facts(5));
  events.closed(facts(5), 'lost', 5_000, 41);
  events.closed(facts(6, 'plant1.b'), 'bye', 0, -1);
  events.conflict('plant1.a', ['10.0.0.1', '10.0.0.2'], ['ingest-0', 'ingest-1'], 4);
  assert.equal(calls.length, 0);
  await turn();
  assert.equal(calls.length, 1);
  const atMs = 1_764_446_400_000;
  const closed = { atMs, epoch: 'e1' };
  assert.deepEqual(settle(), [
    { key: 'plant1.a', sessionStarted: { session: 5, node: 'ingest-0', atMs, protocol: 'websocket', process: 'p' } },
    { key: 'plant1.a', sessionClosed: { session: 5, ...closed, graceMs: 5_000, lastSeq: 41, reason: 'lost' } },
    { key: 'plant1.b', sessionClosed: { session: 6, ...closed, reason: 'bye' } },
    {
      key: 'plant1.a',
      sessionConflict: { addresses: ['10.0.0.1', '10.0.0.2'], nodes: ['ingest-0', 'ingest-1'], takeovers: 4, atMs },
    },
  ]);
  assert.equal(events.size, 0);
  assert.deepEqual([counts.started.value, counts.closed.lost.value, counts.closed.bye.value], [1, 1, 1]);
});

test('what the log has not taken is written again', async () => {
  const { clock, events, calls, settle } = setUp();
  events.started(facts(5));
  await turn();
  settle(away);
  events.closed(facts(5), 'lost', 5_000, -1);
  await turn();
  assert.equal(calls.length, 0, 'not before the pause');
  await clock.advance(1_000);
  await turn();
  assert.deepEqual(
    settle().map((event) => Object.keys(event)[1]),
    ['sessionStarted', 'sessionClosed'],
    'in their order',
  );
  assert.equal(events.size, 0);
  events.close();
  assert.equal(clock.pending(), 0);
});

test('an event that the log refuses after the stop is not written again', async () => {
  const { clock, events, settle } = setUp();
  events.started(facts(1));
  await turn();
  events.close();
  settle(away);
  assert.equal(clock.pending(), 0);
});

test('at the limit the oldest event is dropped and counted', async () => {
  const { events, settle, counts, clock } = setUp();
  events.started(facts(1));
  await turn();
  settle(away);
  for (let number = 2; number <= sessionEventsMax + 1; number++) events.started(facts(number));
  assert.deepEqual([events.size, counts.dropped.value], [sessionEventsMax, 1]);
  await clock.advance(1_000);
  await turn();
  const written = settle();
  assert.equal(written.length, sessionEventsMax);
  assert.equal((written[0] as { sessionStarted?: { session: number } }).sessionStarted?.session, 2);
});

test('a stop waits for the log, and not longer than two seconds', async () => {
  const { clock, events, settle } = setUp();
  await events.drain();
  events.closed(facts(1), 'drain', 5_000, -1);
  let isDrained = false;
  const drained = events.drain().then(() => {
    isDrained = true;
  });
  await turn();
  assert.equal(isDrained, false);
  settle();
  await drained;
  events.closed(facts(2), 'drain', 5_000, -1);
  const late = events.drain();
  await clock.advance(2_000);
  await late;
  events.close();
});

test('a process with a session announces itself in each partition every 20 s, until it stops', async () => {
  const { events, calls, clock } = setUp();
  await clock.advance(60_000);
  assert.equal(calls.length, 0, 'not before its first session');
  events.started(facts(5));
  await turn();
  const [{ records }] = calls.splice(0) as [(typeof calls)[number]];
  const { process } = tailrace.v1.Event.decode(records[0]!.value).sessionStarted!;
  assert.ok(process);
  await clock.advance(40_000);
  const announced = calls.splice(0).map((call) => call.records);
  assert.equal(announced.length, 2);
  for (const each of announced) {
    assert.deepEqual(
      each.map(({ key }) => partitionOf(key, 3)),
      [0, 1, 2],
    );
    const alive = tailrace.v1.Event.decode(each[2]!.value).ingestAlive!;
    assert.deepEqual([alive.node, alive.process], ['ingest-0', process]);
  }
  events.close();
  await clock.advance(60_000);
  assert.equal(calls.length, 0);
  assert.equal(clock.pending(), 0);
});
