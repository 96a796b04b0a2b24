import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RecordSettled } from '@tailrace/eventlog/event-log';
import type { ClientHandlers, StopOptions } from '@tailrace/mqtt/client-options';
import type { InboundMessage } from '@tailrace/mqtt/inbound-messages';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { noTracing } from '@tailrace/platform/tracing';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { Admission } from '../admission.ts';
import { configSchema } from '../config.ts';
import type { DeadLetter } from '../dead-letters/dead-letter.ts';
import type { DeadLetterDone } from '../dead-letters/dead-letters.ts';
import { LogFailures } from '../intake/log-failures.ts';
import { MessageIntake } from '../intake/message-intake.ts';
import { MessageTracing } from '../intake/message-tracing.ts';
import { Pressure } from '../intake/pressure.ts';
import { Bridge } from './bridge.ts';
import { createBridgeCounts, registerBridgeGauges } from './bridge-metrics.ts';
import { bridgesFrom } from './bridges-file.ts';
import { LoggedReports } from './logged-reports.ts';
import { MessageMapper } from './message-mapper.ts';

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));
const unavailable = () => new TailraceError('unavailable', 'no broker');

interface HeldCall {
  readonly keys: readonly string[];
  readonly settled: RecordSettled;
}

/** A bridge between a client whose messages the test sends, and a log whose calls it settles. */
function setUp(settings: { inFlightBytesMax?: number; intakeUnsettledMax?: number } = {}) {
  const clock = createFakeClock({ nowMs: 1_700_000_000_000 });
  const metrics = createMetrics({ service: 'ingest', node: 'test', processMetrics: false });
  const config = configSchema.parse({ tokenSecret: 'a secret of the tests, long enough for HS256', ...settings });
  const admission = new Admission(config);
  const calls: HeldCall[] = [];
  const logged: [level: string, message: string][] = [];
  const line = (level: string) => (_facts: object, message: string) => void logged.push([level, message]);
  const logger = { ...silentLogger, info: line('info'), warn: line('warn'), error: line('error') };
  const intake = new MessageIntake({
    eventLog: {
      appendEach: (_topic, records, settled) => void calls.push({ keys: records.map(({ key }) => key), settled }),
    },
    topic: 't',
    ackDeadlineMs: 5_000,
    unsettledMax: config.intakeUnsettledMax,
    pressure: new Pressure({ clock, heldBytes: () => 0, heldBytesMax: 1 }),
    observer: { appended() {}, settled() {} },
    clock,
    logger: silentLogger,
    logFailures: new LogFailures({ clock, logger: silentLogger }),
  });
  const letters: { letter: DeadLetter; done: DeadLetterDone }[] = [];
  const acks: number[] = [];
  let written: number[] = [];
  let paused = 0;
  let handlers!: ClientHandlers;
  let state = 'open';
  const file = {
    bridges: [
      {
        ...{ name: 'plant', url: 'mqtt://h', publish: ['plant1.>'] },
        subscriptions: [
          { filter: 'n/+', map: { payload: 'number', device: 'plant1.{2}', tag: 't' } },
          { filter: 'x/+', map: { payload: 'number', device: 'plant2.{2}', tag: 't' } },
          { filter: 'r', map: { payload: 'report' } },
          { filter: 'j', map: { payload: 'json', device: 'plant1.j', time: '/ts' } },
        ],
      },
    ],
  };
  const [bridgeSettings] = bridgesFrom(JSON.stringify(file));
  const countsOf = createBridgeCounts(metrics, ['plant']);
  const accepted: number[] = [];
  const bridge = new Bridge({
    name: 'plant',
    receiveMaximum: 2_048,
    createClient(given) {
      handlers = given;
      return {
        get state() {
          return state;
        },
        start() {},
        settle: (ticket: number, reason: number) => {
          assert.equal(reason, 0);
          written.push(ticket);
        },
        flush: () => {
          acks.push(...written);
          written = [];
        },
        pause: (reason: number) => {
          paused |= reason;
        },
        resume: (reason: number) => {
          paused &= ~reason;
        },
        stop: async (_options: StopOptions) => {
          state = 'stopped';
        },
      };
    },
    mapper: new MessageMapper(bridgeSettings!.subscriptions),
    grant: {
      identity: 'bridge plant',
      allowsDevice: (path) => path.startsWith('plant1.'),
      covers: 'the bridge plant may publish plant1.>',
    },
    admission,
    intake,
    tracing: new MessageTracing({ tracing: noTracing, clock, topic: 't', system: undefined }),
    deadLetters: { write: (letter, done) => void letters.push({ letter, done }) },
    names: { admit() {} },
    logged: new LoggedReports({ isSuspect: false, idsOfAll: () => Promise.reject(new Error('unused')) }, clock),
    counts: countsOf('plant'),
    onAccepted: (readings) => accepted.push(readings),
    clock,
    random: () => 1,
    logger,
    clockAheadMs: 60_000,
  });
  registerBridgeGauges(metrics, [bridge]);
  bridge.start();
  let tickets = 0;
  const buffer = Buffer.alloc(65_536);
  /** Sends a message; the payload is overwritten afterwards, as the next chunk of a socket would. */
  const send = (topic: string, payload: string, more: Partial<InboundMessage> = {}): number => {
    const ticket = more.qos === 0 ? -1 : tickets++;
    const length = buffer.write(payload);
    handlers.publish({
      ...{ topic, payload: buffer.subarray(0, length), qos: 1, retain: false, dup: false, packetId: 1 },
      ...{ properties: undefined, exchangeId: undefined, ticket, ...more },
    });
    buffer.fill(0);
    return ticket;
  };
  const value = async (series: string) => {
    const line = (await metrics.text()).split('\n').find((each) => each.startsWith(`tailrace_ingest_${series}`));
    return Number(line?.split(' ').at(-1));
  };
  return {
    ...{ clock, admission, calls, logged, letters, acks, bridge, send, value, accepted, intake },
    handlers: () => handlers,
    isPaused: () => paused !== 0,
  };
}

test('a message is acknowledged after the log has it, and not before', async () => {
  const { send, calls, acks, bridge, admission, value, accepted } = setUp();
  send('n/a', '1');
  send('n/b', '2');
  await nextTurn();
  assert.deepEqual(calls[0]!.keys, ['plant1.a', 'plant1.b']);
  assert.deepEqual([acks, bridge.unsettled, admission.bytes], [[], 2, 2 * 513]);
  calls[0]!.settled(1, undefined, 0, 0);
  calls[0]!.settled(0, undefined, 0, 1);
  await nextTurn();
  assert.deepEqual([acks, bridge.unsettled, bridge.heldBytes, admission.bytes], [[1, 0], 0, 0, 0]);
  assert.deepEqual(accepted, [1, 1]);
  assert.equal(await value('bridge_messages_total{bridge="plant",outcome="accepted"'), 2);
});

test('what the broker sends again when the log has it is acknowledged by its ID, and not appended again', async () => {
  const { send, calls, acks, bridge, admission, value } = setUp();
  const readings = [{ tag: 't', value: 1 }];
  const reportOf = (device: string, id?: string) => ({ device: `plant1.${device}`, readings, ...(id && { id }) });
  const sendReports = (...reports: object[]) => send('r', JSON.stringify(reports), { dup: true });
  sendReports(reportOf('a', 'm1'));
  sendReports(reportOf('a'));
  await nextTurn();
  for (const index of [0, 1]) calls[0]!.settled(index, undefined, 0, index);
  await nextTurn();
  sendReports(reportOf('a', 'm1'));
  sendReports(reportOf('a', 'm1'), reportOf('b', 'm1'));
  sendReports(reportOf('a'));
  await nextTurn();
  assert.deepEqual(calls[1]!.keys, ['plant1.b', 'plant1.a'], 'the ID of another device, and a report without one');
  for (const index of [0, 1]) calls[1]!.settled(index, undefined, 0, index);
  await nextTurn();
  assert.deepEqual([acks, bridge.unsettled, admission.bytes], [[0, 1, 2, 3, 4], 0, 0]);
  assert.equal(await value('bridge_messages_total{bridge="plant",outcome="accepted"'), 4);
  assert.equal(await value('bridge_messages_total{bridge="plant",outcome="duplicate"'), 1);
  assert.equal(await value('bridge_recent_ids{bridge="plant"'), 2);
});

test('what the log refuses is appended again in order, with what came after it, until the log takes it', async () => {
  const { send, calls, acks, clock, value, bridge } = setUp();
  for (const device of ['a', 'b', 'c']) send(`n/${device}`, '1');
  await nextTurn();
  calls[0]!.settled(2, unavailable(), -1, -1);
  send('n/d', '1');
  calls[0]!.settled(0, unavailable(), -1, -1);
  await clock.advance(10_000);
  assert.equal(calls.length, 1, 'not while the log has one of them');
  calls[0]!.settled(1, undefined, 0, 0);
  await nextTurn();
  assert.deepEqual(acks, [1]);
  await clock.advance(199);
  await nextTurn();
  assert.equal(calls.length, 1);
  await clock.advance(1);
  await nextTurn();
  assert.deepEqual(calls[1]!.keys, ['plant1.a', 'plant1.c', 'plant1.d']);
  for (const index of [0, 1, 2]) calls[1]!.settled(index, unavailable(), -1, -1);
  await clock.advance(400);
  await nextTurn();
  assert.deepEqual(calls[2]!.keys, ['plant1.a', 'plant1.c', 'plant1.d']);
  assert.equal(bridge.unsettled, 3);
  for (const index of [0, 1, 2]) calls[2]!.settled(index, undefined, 0, index);
  await nextTurn();
  assert.deepEqual(acks, [1, 0, 2, 3]);
  assert.equal(await value('bridge_retried_appends_total{bridge="plant"'), 5, 'the last one waited once');
});

test('at the deadline of the log a message waits on: no second append, no acknowledgment', async () => {
  const { send, calls, acks, clock } = setUp();
  send('n/a', '1');
  await nextTurn();
  await clock.advance(30_000);
  await nextTurn();
  assert.deepEqual([calls.length, acks], [1, []]);
  calls[0]!.settled(0, undefined, 0, 0);
  await nextTurn();
  assert.deepEqual([calls.length, acks], [1, [0]]);
});

test('what cannot be mapped is acknowledged when its dead letter is in the log', async () => {
  const { send, letters, acks, calls, bridge, logged } = setUp();
  send('n/a', 'NaN', { properties: { contentType: 'text/plain' } });
  await nextTurn();
  assert.equal(calls.length, 0);
  const { letter, done } = letters[0]!;
  const { payload, ...rest } = letter;
  assert.equal(Buffer.from(payload).toString(), 'NaN');
  assert.deepEqual(rest, {
    ...{ reason: 'malformed_number', protocol: 'bridge', source: 'plant' },
    message: 'the payload: expected a number as JSON writes it, true or false, got "NaN"',
    ...{ topic: 'n/a', contentType: 'text/plain', qos: 1 },
  });
  assert.deepEqual([acks, bridge.unsettled], [[], 1]);
  done(undefined);
  assert.deepEqual([acks, bridge.unsettled, bridge.heldBytes], [[0], 0, 0]);
  assert.deepEqual(logged, [
    ['warn', 'a message of the broker cannot be processed: it is in the topic of dead letters'],
  ]);
});

test('a dead letter that the log refuses is written again', async () => {
  const { send, letters, acks, clock } = setUp();
  send('n/a', 'NaN');
  letters[0]!.done(unavailable());
  await clock.advance(200);
  assert.equal(letters.length, 2);
  assert.equal(Buffer.from(letters[1]!.letter.payload).toString(), 'NaN');
  letters[1]!.done(undefined);
  assert.deepEqual(acks, [0]);
});

test('a device outside of the rights of the bridge is a dead letter', () => {
  const { send, letters } = setUp();
  send('x/a', '1');
  assert.equal(letters[0]!.letter.reason, 'forbidden');
  assert.match(letters[0]!.letter.message, /"plant2\.a" is not covered: the bridge plant may publish plant1\.>/);
});

test('of several reports the valid ones are appended, and the message is one dead letter for the others', async () => {
  const { send, letters, calls, acks, value } = setUp();
  const readings = [{ tag: 't', value: 1 }];
  const reports = [{ device: 'plant1.a', readings }, { device: 'plant2.a', readings }, { device: 'plant1.b' }];
  send('r', JSON.stringify(reports));
  await nextTurn();
  assert.deepEqual(calls[0]!.keys, ['plant1.a']);
  assert.match(letters[0]!.letter.message, /^report 2: .* \(and 1 more\)$/);
  letters[0]!.done(undefined);
  assert.deepEqual(acks, []);
  calls[0]!.settled(0, undefined, 0, 0);
  await nextTurn();
  assert.deepEqual(acks, [0]);
  assert.equal(await value('bridge_messages_total{bridge="plant",outcome="dead_letter"'), 1);
});

test('a record that the log never takes is a dead letter of the encoded report', async () => {
  const { send, letters, calls, acks } = setUp();
  send('n/a', '1');
  await nextTurn();
  calls[0]!.settled(0, new TailraceError('too_large', 'record with key "plant1.a": too many bytes'), -1, -1);
  const { letter, done } = letters[0]!;
  assert.deepEqual(
    [letter.reason, letter.device, letter.contentType],
    ['too_large', 'plant1.a', 'application/x-protobuf'],
  );
  assert.ok(letter.payload.length > 0);
  done(undefined);
  assert.deepEqual(acks, [0]);
});

test('retained messages are acknowledged and left out', async () => {
  const { send, calls, acks, handlers, value } = setUp();
  send('n/a', '1', { retain: true });
  send('n/a', '2');
  await nextTurn();
  assert.equal(calls[0]!.keys.length, 1);
  calls[0]!.settled(0, undefined, 0, 0);
  await nextTurn();
  assert.deepEqual(acks, [0, 1]);
  assert.equal(await value('bridge_messages_total{bridge="plant",outcome="retained"'), 1);
  assert.ok(handlers());
});

test('a retained message that is to be taken needs a time of its own', async () => {
  const { bridge, calls } = setUp();
  const done: string[] = [];
  const take = (payload: string) =>
    bridge.takeRetained(
      { topic: 'j', payload: Buffer.from(payload), qos: 1, retain: true, ticket: 7 } as unknown as InboundMessage,
      () => done.push(payload),
    );
  take('{"a":1}');
  assert.deepEqual(done, ['{"a":1}']);
  take('{"a":1,"ts":1600000000000}');
  await nextTurn();
  assert.equal(done.length, 1);
  calls[0]!.settled(0, undefined, 0, 0);
  await nextTurn();
  assert.equal(done.length, 2);
});

test('above 16 MiB reading pauses, the message that exceeds it waits unchanged, and reading resumes below 12 MiB', async () => {
  const { send, calls, isPaused, clock, bridge, acks } = setUp({ inFlightBytesMax: 134_217_728 });
  const text = 'x'.repeat(60_000);
  let sent = 0;
  while (!isPaused()) {
    send('r', JSON.stringify({ device: 'plant1.a', readings: [{ tag: 't', value: 1 }], pad: text }));
    if (++sent > 1_000) break;
  }
  // Each is a dead letter, because of its unknown key: the bytes count all the same.
  assert.ok(isPaused());
  assert.ok(bridge.heldBytes > 16 * 1_048_576 - 65_536 && bridge.heldBytes <= 16 * 1_048_576);
  await clock.advance(10_000);
  assert.ok(isPaused());
  assert.deepEqual([calls.length, acks.length], [0, 0]);
});

test('while the intake is full reading pauses, and the message is taken when there is room', async () => {
  const { send, calls, isPaused, clock, acks } = setUp({ intakeUnsettledMax: 1_000 });
  for (let index = 0; index < 1_000; index++) send(`n/${index}`, '1');
  assert.equal(isPaused(), false);
  send('n/last', '42');
  assert.equal(isPaused(), true);
  await nextTurn();
  for (let index = 0; index < 1_000; index++) calls[0]!.settled(index, undefined, 0, index);
  await nextTurn();
  await clock.advance(100);
  assert.equal(isPaused(), false);
  await nextTurn();
  assert.deepEqual(calls[1]!.keys, ['plant1.last']);
  calls[1]!.settled(0, undefined, 0, 0);
  await nextTurn();
  assert.equal(acks.length, 1_001);
});

test('a message that waits for room is not lost when the connection is, and the next one waits behind it', async () => {
  const { send, calls, clock, isPaused, handlers } = setUp({ intakeUnsettledMax: 1_000 });
  for (let index = 0; index < 1_000; index++) send(`n/${index}`, '1');
  send('n/first', '1');
  handlers().disconnected!({ reason: 0, message: 'lost', isPermanent: false, retryInMs: 1, cause: undefined });
  handlers().opened!({ isSessionPresent: true });
  send('n/second', '1');
  assert.equal(isPaused(), true);
  await nextTurn();
  for (let index = 0; index < 1_000; index++) calls[0]!.settled(index, undefined, 0, index);
  await nextTurn();
  await clock.advance(100);
  await nextTurn();
  assert.deepEqual(calls[1]!.keys, ['plant1.first', 'plant1.second']);
  assert.equal(isPaused(), false);
});

test('QoS 0 messages are appended, and have no acknowledgment', async () => {
  const { send, calls, acks, bridge } = setUp();
  send('n/a', '1', { qos: 0, ticket: -1 });
  await nextTurn();
  calls[0]!.settled(0, undefined, 0, 0);
  await nextTurn();
  assert.deepEqual([acks, bridge.unsettled], [[], 0]);
});

test('each loss of the connection is counted, logged once for its reason, and a lost session is logged', async () => {
  const { handlers, logged, value } = setUp();
  const disconnected = (reason: number, message: string, isPermanent = false) =>
    handlers().disconnected!({ reason, message, isPermanent, retryInMs: 1, cause: undefined });
  handlers().opened!({ isSessionPresent: false });
  disconnected(0, 'connection lost');
  disconnected(0, 'connection lost');
  disconnected(0x8e, 'taken over');
  disconnected(0x86, 'bad password', true);
  handlers().opened!({ isSessionPresent: false });
  assert.deepEqual(logged, [
    ['info', 'connected to the broker'],
    ['warn', 'the connection to the broker is lost; connecting again'],
    ['error', 'another client uses the client ID of the bridge'],
    ['error', 'the broker refuses the bridge; its settings need a change'],
    [
      'warn',
      'the broker has lost the session of the bridge: messages that were published while it was away may be missing',
    ],
    ['info', 'connected to the broker'],
  ]);
  assert.equal(await value('bridge_disconnects_total{bridge="plant"'), 4);
  assert.equal(await value('bridge_takeovers_total{bridge="plant"'), 1);
  assert.equal(await value('bridge_connections{bridge="plant"'), 1);
});

test('a refused filter is counted until it is granted, and a lower QoS is logged', async () => {
  const { handlers, logged, value, bridge } = setUp();
  handlers().subscribed!({ filter: 'n/+', qos: 1 }, 0x87);
  assert.equal(bridge.refusedFilters, 1);
  handlers().subscribed!({ filter: 'n/+', qos: 1 }, 0);
  assert.equal(await value('bridge_refused_filters{bridge="plant"'), 0);
  assert.deepEqual(
    logged.map(([level]) => level),
    ['error', 'warn'],
  );
});

test('the age of the oldest message is known, also when later ones are settled before it', async () => {
  const { send, calls, clock, bridge } = setUp();
  assert.equal(bridge.oldestMs, 0);
  send('n/a', '1');
  await nextTurn();
  await clock.advance(1_000);
  send('n/b', '1');
  await nextTurn();
  calls[1]!.settled(0, undefined, 0, 0);
  await nextTurn();
  assert.equal(bridge.oldestMs, 1_000);
  calls[0]!.settled(0, undefined, 0, 0);
  await nextTurn();
  assert.equal(bridge.oldestMs, 0);
});

test('after a stop nothing is appended again', async () => {
  const { send, calls, clock, bridge, admission } = setUp();
  send('n/a', '1');
  await nextTurn();
  await bridge.stop(0);
  calls[0]!.settled(0, unavailable(), -1, -1);
  await clock.advance(10_000);
  await nextTurn();
  assert.equal(calls.length, 1);
  assert.equal(admission.mostOfOneSender().sessions, 0);
});
