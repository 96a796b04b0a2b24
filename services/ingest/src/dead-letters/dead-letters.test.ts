import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventLog } from '@tailrace/eventlog/event-log';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { type DeadLetter, deadLetterFrom, deadLetterReasonOf, payloadBytesMax } from './dead-letter.ts';
import { deadLetterJson, deadLetterPayload, deadLetterText, listDeadLetters } from './dead-letter-listing.ts';
import { DeadLetters, pendingLettersMax } from './dead-letters.ts';

const letterOf = (rest: Partial<DeadLetter> = {}): DeadLetter => ({
  reason: 'malformed_json',
  message: 'the payload: expected JSON, got "{"',
  protocol: 'bridge',
  source: 'plant',
  payload: Buffer.from('{'),
  topic: 'plant1/press7',
  qos: 1,
  ...rest,
});

const topic = 'tailrace.dead-letter';
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

async function setUp(appendEach?: EventLog['appendEach']) {
  const clock = createFakeClock({ nowMs: 1_700_000_000_000 });
  const memory = createMemoryLog({ clock }).connect();
  await memory.start();
  const metrics = createMetrics({ service: 'ingest', node: 'test', processMetrics: false });
  const warnings: object[] = [];
  const deadLetters = new DeadLetters({
    eventLog: {
      ensureTopic: (spec) => memory.ensureTopic(spec),
      appendEach: appendEach ?? ((...call) => memory.appendEach(...call)),
    },
    topicPrefix: 'tailrace',
    node: 'ingest-0',
    clock,
    logger: { ...silentLogger, warn: (facts) => void warnings.push(facts) },
    metrics,
  });
  await deadLetters.start();
  const list = (options: { sinceMs?: number; source?: string; reason?: string; last?: number } = {}) =>
    listDeadLetters(memory, { topic, sinceMs: undefined, source: undefined, reason: undefined, last: 20, ...options });
  const write = (letter: DeadLetter) =>
    new Promise<TailraceError | undefined>((resolve) => deadLetters.write(letter, resolve));
  const value = async (series: string) => {
    const line = (await metrics.text()).split('\n').find((each) => each.startsWith(series));
    return Number(line?.split(' ').at(-1));
  };
  return { clock, memory, deadLetters, list, write, warnings, value };
}

test('a dead letter has the original bytes, and what is known about them', async () => {
  const { write, list, memory, value } = await setUp();
  assert.equal(
    await write(letterOf({ payload: Buffer.of(0xff, 0x00), contentType: 'x/y', device: 'plant1.a' })),
    undefined,
  );
  const [letter] = await list();
  const { payload, ...rest } = letter!;
  assert.deepEqual([...payload], [0xff, 0x00]);
  assert.deepEqual(rest, {
    ...{
      reason: 'malformed_json',
      message: 'the payload: expected JSON, got "{"',
      protocol: 'bridge',
      source: 'plant',
    },
    ...{ topic: 'plant1/press7', qos: 1, contentType: 'x/y', device: 'plant1.a', node: 'ingest-0' },
    ...{ receivedMs: 1_700_000_000_000, bytes: 2, partition: 0, seq: 0 },
  });
  assert.deepEqual([...(await deadLetterPayload(memory, topic, 0))], [0xff, 0x00]);
  await assert.rejects(deadLetterPayload(memory, topic, 1), { code: 'not_found' });
  assert.equal(await value('tailrace_ingest_dead_letters_total{protocol="bridge",reason="malformed_json"'), 1);
});

test('the sender is not acknowledged before the log has the dead letter', async () => {
  const settled: ((error: TailraceError | undefined) => void)[] = [];
  const { deadLetters, value } = await setUp((_topic, _records, done) => {
    settled.push((error) => done(0, error, 0, 0));
  });
  const outcomes: (string | undefined)[] = [];
  for (let index = 0; index < 2; index++) deadLetters.write(letterOf(), (error) => outcomes.push(error?.code));
  await nextTurn();
  assert.deepEqual(outcomes, []);
  settled[0]!(undefined);
  settled[1]!(new TailraceError('unavailable', 'no broker'));
  assert.deepEqual(outcomes, [undefined, 'unavailable']);
  assert.equal(await value('tailrace_ingest_dead_letters_total{protocol="bridge",reason="malformed_json"'), 1);
});

test('the payload may change after the call', async () => {
  const { deadLetters, list } = await setUp();
  const payload = Buffer.from('abc');
  const written = new Promise((resolve) => deadLetters.write(letterOf({ payload }), resolve));
  payload.fill(0);
  await written;
  assert.equal(Buffer.from((await list())[0]!.payload).toString(), 'abc');
});

test('a payload is truncated at its limit with a header that has it, and so are long texts', async () => {
  const { write, list, memory } = await setUp();
  await write(
    letterOf({ payload: Buffer.alloc(payloadBytesMax + 1, 1), message: 'x'.repeat(600), topic: 't'.repeat(2_000) }),
  );
  const [letter] = await list();
  assert.equal(letter!.payload.length, payloadBytesMax);
  assert.equal(letter!.bytes, payloadBytesMax + 1);
  assert.deepEqual([letter!.message.length, letter!.topic!.length], [500, 1_024]);
  for await (const [record] of memory.read(topic, 0, { from: 0 })) assert.equal(record!.headers!['truncated'], 'true');
});

test('beyond 10 a second of one source, and its burst of 100, messages are dropped, counted and logged once a minute', async () => {
  const { clock, write, list, warnings, value } = await setUp();
  for (let index = 0; index < 103; index++) assert.equal(await write(letterOf()), undefined);
  assert.equal((await list({ last: 1_000 })).length, 100);
  assert.equal(await value('tailrace_ingest_dropped_dead_letters_total'), 3);
  assert.deepEqual(
    warnings.map((facts) => (facts as { start: string }).start),
    ['{'],
  );
  assert.equal(await write(letterOf({ source: 'other' })), undefined);
  await clock.advance(1_000);
  for (let index = 0; index < 11; index++) await write(letterOf());
  assert.equal((await list({ last: 1_000 })).length, 111);
});

test('beyond 100 a second of all sources, and the burst of 1,000, messages are dropped', async () => {
  const { write, value } = await setUp();
  for (let index = 0; index < 1_001; index++) await write(letterOf({ source: `s${index}` }));
  assert.equal(await value('tailrace_ingest_dead_letters_total{protocol="bridge",reason="malformed_json"'), 1_000);
  assert.equal(await value('tailrace_ingest_dropped_dead_letters_total'), 1);
});

test('at the limit of dead letters that wait for the log a further one is refused, and can be written again', async () => {
  const settled: (() => void)[] = [];
  const { clock, deadLetters, write } = await setUp((_topic, _records, done) => {
    settled.push(() => done(0, undefined, 0, 0));
  });
  for (let index = 0; index < pendingLettersMax; index++)
    deadLetters.write(letterOf({ source: `s${index}` }), () => {});
  const error = await write(letterOf());
  assert.deepEqual([error?.code, error?.retryable], ['unavailable', true]);
  settled.shift()!();
  await clock.advance(1_000);
  const again = write(letterOf());
  await nextTurn();
  settled.at(-1)!();
  assert.equal(await again, undefined);
});

test('a dead letter that is written again takes no second token of its source: a long outage drops none', async () => {
  let isAway = true;
  const { write, value, clock } = await setUp((_topic, records, done) => {
    for (const index of records.keys())
      queueMicrotask(() => done(index, isAway ? new TailraceError('unavailable', 'away') : undefined, 0, index));
  });
  const letters = Array.from({ length: 20 }, (_, index) => letterOf({ payload: Buffer.from(`${index}`) }));
  for (let attempt = 0; attempt < 50; attempt++) {
    for (const letter of letters) assert.equal((await write(letter))?.code, 'unavailable');
    await clock.advance(200);
  }
  isAway = false;
  for (const letter of letters) assert.equal(await write(letter), undefined);
  assert.equal(await value('tailrace_ingest_dropped_dead_letters_total'), 0);
  assert.equal(await value('tailrace_ingest_dead_letters_total{protocol="bridge",reason="malformed_json"'), 20);
});

test('a dead letter that the log finds too large is truncated further, and dropped if that is too large, too', async () => {
  let bytesMax = 10_000;
  const written: { bytes: number; truncated: string | undefined }[] = [];
  const { write, value } = await setUp((_topic, [record], done) => {
    const isTooLarge = record!.value.length > bytesMax;
    if (!isTooLarge) written.push({ bytes: record!.value.length, truncated: record!.headers!['truncated'] });
    queueMicrotask(() => done(0, isTooLarge ? new TailraceError('too_large', 'MESSAGE_TOO_LARGE') : undefined, 0, 0));
  });
  assert.equal(await write(letterOf({ payload: Buffer.alloc(20_000) })), undefined);
  assert.deepEqual(written, [{ bytes: 4_096, truncated: 'true' }]);
  bytesMax = 100;
  assert.equal(await write(letterOf({ payload: Buffer.alloc(20_000) })), undefined);
  assert.equal(written.length, 1);
  assert.equal(await value('tailrace_ingest_dropped_dead_letters_total'), 1);
  assert.equal(await value('tailrace_ingest_pending_dead_letter_bytes'), 0);
});

test('a dead letter that the log refuses for a reason of its settings is to be written again', async () => {
  let code: 'forbidden' | 'closed' = 'forbidden';
  const { write } = await setUp((_topic, _records, done) => {
    queueMicrotask(() => done(0, new TailraceError(code, 'no'), 0, -1));
  });
  const error = await write(letterOf());
  assert.deepEqual([error?.code, error?.retryable], ['unavailable', true]);
  code = 'closed';
  assert.equal((await write(letterOf()))?.code, 'closed');
});

test('a listing has the newest that match, oldest first', async () => {
  const { clock, write, list } = await setUp();
  await write(letterOf({ source: 'a', payload: Buffer.from('1') }));
  await clock.advance(60_000);
  await write(letterOf({ source: 'b', payload: Buffer.from('2') }));
  await write(letterOf({ source: 'a', reason: 'no_mapping', payload: Buffer.from('3') }));
  await write(letterOf({ source: 'a', payload: Buffer.from('4') }));
  const payloads = async (options: Parameters<typeof list>[0]) =>
    (await list(options)).map(({ payload }) => Buffer.from(payload).toString()).join('');
  assert.equal(await payloads({}), '1234');
  assert.equal(await payloads({ last: 2 }), '34');
  assert.equal(await payloads({ source: 'a' }), '134');
  assert.equal(await payloads({ reason: 'no_mapping' }), '3');
  assert.equal(await payloads({ sinceMs: clock.now() - 1_000 }), '234');
});

test('the text of a dead letter shows a text as it is, and other bytes in hexadecimal', async () => {
  const { write, list } = await setUp();
  await write(letterOf({ payload: Buffer.from('{"a":\n1') }));
  await write(letterOf({ payload: Buffer.of(0x0a, 0xff) }));
  const [text, bytes] = await list();
  assert.equal(
    deadLetterText(text!),
    [
      '0  2023-11-14T22:13:20.000Z  malformed_json  bridge plant',
      '  topic plant1/press7, QoS 1, 7 bytes, node ingest-0',
      '  the payload: expected JSON, got "{"',
      '  {"a":',
      '  1',
      '',
    ].join('\n'),
  );
  assert.match(deadLetterText(bytes!), /^ {2}0aff \(hexadecimal\)$/m);
  assert.equal(JSON.parse(deadLetterJson(text!)).text, '{"a":\n1');
  assert.equal(JSON.parse(deadLetterJson(bytes!)).base64, 'Cv8=');
});

test('a record of another program is no dead letter', () => {
  assert.equal(deadLetterFrom({ seq: 0, timeMs: 0, key: 'k', value: new Uint8Array(0) }, 0), undefined);
});

test('the reason of an error is its code, or that the report is invalid', () => {
  assert.equal(deadLetterReasonOf(new TailraceError('forbidden', 'x')), 'forbidden');
  assert.equal(deadLetterReasonOf(new TailraceError('internal', 'x')), 'invalid_report');
});
