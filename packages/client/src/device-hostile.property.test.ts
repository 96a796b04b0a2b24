import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTailraceError } from '@tailrace/protocol/error';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import { device, startFakeIngest } from '../test/fake-ingest.ts';
import { hostileJson, withOnePartReplaced } from '../test/hostile-json.ts';
import { deviceFrameFrom } from './device-frames.ts';

const runs = fuzzed(500);

/** A message of each type, as the server sends it. */
const frames: readonly object[] = [
  { type: 'hello', payload: { version: 1, node: 'ingest-0', time: 1, challenge: 'c', authWithinMs: 10_000 } },
  {
    type: 'welcome',
    payload: {
      session: 1,
      device,
      window: 8,
      windowBytes: 9e5,
      messageBytesMax: 2e5,
      batchMax: 500,
      messagesPerSecond: 9,
    },
  },
  { type: 'ack', msgid: 'm1', payload: { status: 'accepted' } },
  { type: 'ack', msgid: 'm2', payload: { status: 'rejected', code: 'unavailable', retryable: true, retryAfterMs: 5 } },
  {
    type: 'ack',
    msgid: 'm3',
    payload: { status: 'accepted', rejected: [{ index: 0, code: 'forbidden', message: 'm' }] },
  },
  { type: 'command', msgid: 'c1', to: device, payload: { name: 'set', params: { a: 1 }, expiresInMs: 5_000, qos: 1 } },
  { type: 'error', payload: { code: 'rate_limited', message: 'm', retryable: true, retryAfterMs: 5 } },
  { type: 'expiring', payload: { inMs: 60_000 } },
  { type: 'draining', payload: { afterMs: 2_000 } },
];

const frame = fc.constantFrom(...frames).chain((value) => fc.oneof(fc.constant(value), withOnePartReplaced(value)));
const text = fc.oneof(
  { weight: 8, arbitrary: frame.map((value) => JSON.stringify(value)) },
  { weight: 1, arbitrary: hostileJson.map((value) => JSON.stringify(value) ?? 'undefined') },
  { weight: 1, arbitrary: fc.string() },
);

test('a message of the server is read or refused with invalid_message, whatever it has', () => {
  fc.assert(
    fc.property(text, (each) => {
      try {
        deviceFrameFrom(each);
      } catch (thrown) {
        assert.ok(isTailraceError(thrown) && thrown.code === 'invalid_message', String(thrown));
      }
    }),
    runs,
  );
});

test('after any messages of the server a connection has a session again, and sends what has no answer', async () => {
  const property = fc.asyncProperty(fc.array(text, { maxLength: 12 }), async (texts) => {
    const ingest = startFakeIngest({ onCommand: (_command, answer) => answer.reply({ state: 'done' }) });
    const { connection, clock } = ingest;
    await ingest.live();
    for (const id of ['m1', 'm2', 'm3']) void connection.status([{ tag: 't', value: 1 }], { id }).catch(() => {});
    for (const each of texts) ingest.last().deliverRaw(each);
    ingest.last().end(1006);
    connection.reconnect();
    await clock.advance(0);
    await ingest.live();
    assert.equal(connection.state.name, 'live');
    ingest.take();
    let isAccepted = false;
    void connection.status([{ tag: 't', value: 2 }], { id: 'last' }).then(() => {
      isAccepted = true;
    });
    for (let id = 1; id <= 3; id++) ingest.ack(`m${id}`);
    assert.ok(ingest.ids().includes('last'));
    ingest.ack('last');
    await clock.advance(0);
    assert.ok(isAccepted);
    await connection.close();
  });
  await fc.assert(property, fuzzed(200));
});
