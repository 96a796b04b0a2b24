import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTailraceError } from '@tailrace/protocol/error';
import { utf8Bytes } from '@tailrace/protocol/text';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import {
  authFrom,
  batchFrom,
  batchMessagesMax,
  envelopeFrom,
  frameFrom,
  messageFrom,
  messageIdOf,
} from './envelope.ts';

const device = 'plant1.line2.press7';
const frameOf = (text: string) => ({ text, bytes: text.length, receivedMs: 5 });

/** Reads a message as the protocol does, and returns its report. */
function reportOf(value: object) {
  const text = JSON.stringify(value);
  return messageFrom(envelopeFrom(frameFrom(text)), device, frameOf(text)).report();
}

const status = (rest: object = {}, payload: object = { readings: [{ tag: 't', value: 1 }] }) => ({
  ...{ type: 'status', msgid: 'a1', payload, ...rest },
});
const refusal = (value: object): string => {
  try {
    reportOf(value);
  } catch (error) {
    assert.ok(isTailraceError(error));
    return `${error.code}: ${error.message}`;
  }
  return assert.fail(`expected an error of ${JSON.stringify(value)}`);
};

test('a status is a report of the device of its session, with the message ID', () => {
  const timestamp = 1_764_446_401_000.5;
  const readings = [{ tag: 'temperature', value: 42.5, unit: 'Cel' }];
  assert.deepEqual(reportOf(status({ timestamp }, { readings })), { device, time: timestamp, readings, id: 'a1' });
  assert.deepEqual(reportOf(status({ from: 'plant1.b' }, { values: readings })), {
    ...{ device: 'plant1.b', time: 0, readings, id: 'a1' },
  });
});

test('an event is a report whose first reading has its name', () => {
  const event = (payload: object) => reportOf({ type: 'event', msgid: 'e1', payload }).readings;
  assert.deepEqual(event({ name: 'valve_open' }), [{ tag: 'valve_open', value: true }]);
  assert.deepEqual(event({ name: 'alarm', value: 'high', readings: [{ tag: 't', value: 1 }] }), [
    { tag: 'alarm', value: 'high' },
    { tag: 't', value: 1 },
  ]);
});

test('null counts as absent, and qos is 1 for what is acknowledged', () => {
  const nothing = { ver: null, timestamp: null, from: null, to: null, qos: null, retain: null, traceparent: null };
  const envelope = envelopeFrom(status(nothing));
  assert.deepEqual([envelope.timestamp, envelope.from, envelope.qos, envelope.traceparent], [0, '', 1, '']);
  assert.equal(envelopeFrom({ type: 'bye' }).qos, 0);
  assert.equal(envelopeFrom({ ver: '1', type: 'status', qos: 0 }).msgid, '');
});

test('the error of a message has what was expected and what came', () => {
  const expected: readonly (readonly [object, RegExp])[] = [
    [status({ ver: 2 }), /^invalid_message: ver: expected 1, got 2$/],
    [status({ extra: 1 }), /^invalid_message: message: expected ver, .* got the unknown key "extra"$/],
    [status({ type: 'command' }), /^invalid_message: type: expected one of auth, .*, got "command"$/],
    [status({ msgid: 'x'.repeat(65) }), /^invalid_message: msgid: expected a text of 1 to 64 bytes/],
    [status({ msgid: undefined }), /^invalid_message: msgid: expected a text of 1 to 64 bytes for qos 1, got none$/],
    [status({ msgid: 7 }), /^invalid_message: msgid: .*, got 7$/],
    [status({ qos: 3 }), /^invalid_message: qos: expected 0, 1 or 2, got 3$/],
    [status({ retain: 'yes' }), /^invalid_message: retain: expected a boolean, got "yes"$/],
    [status({ from: 'plant1..a' }), /^invalid_path: .*segment 2 is empty$/],
    [status({ timestamp: 1_764_446_400 }), /^invalid_report: timestamp: .*probably in seconds$/],
    [status({ payload: [] }), /^invalid_message: payload: expected an object, got \[\]$/],
    [status({}, { reading: [] }), /^invalid_message: payload: expected readings, got the unknown key "reading"$/],
    [status({}, { readings: [] }), /^invalid_report: readings: expected 1 to 1000 items, got 0$/],
    [status({ type: 'event' }, { value: 1 }), /^invalid_message: payload.name: expected a text, got undefined$/],
    [status({ type: 'event' }, { name: '' }), /^invalid_report: readings\[0\].tag: /],
  ];
  for (const [value, text] of expected) assert.match(refusal(value), text);
});

test('an integer that a double does not hold is refused, in a message and in a batch', () => {
  const text =
    '{"type":"status","msgid":"a","payload":{"readings":[{"tag":"t","value":1},{"tag":"u","value":9007199254740993}]}}';
  const message = messageFrom(envelopeFrom(frameFrom(text)), device, frameOf(text));
  assert.throws(() => message.report(), /readings\[1\].value: .*got 9007199254740993/);
  const inner = text.replace('"msgid":"a",', '');
  const batch = `{"type":"batch","msgid":"b","payload":{"messages":[{"type":"event","payload":{"name":"n","value":9007199254740993}},${inner}]}}`;
  const [first, second] = batchFrom(envelopeFrom(frameFrom(batch)), device, frameOf(batch)).messages();
  assert.ok(first !== undefined && 'report' in first && second !== undefined && 'report' in second);
  assert.throws(() => first.report(), /got 9007199254740993/);
  assert.throws(() => second.report(), /readings\[1\].value: .*got 9007199254740993/);
  // As JavaScript writes 2^60.
  assert.equal(reportOf(status({}, { readings: [{ tag: 't', value: 2 ** 60 }] })).readings[0]?.value, 2 ** 60);
});

function messagesOf(messages: readonly object[], rest: object = {}) {
  const text = JSON.stringify({ type: 'batch', msgid: 'b1', payload: { messages }, ...rest });
  return batchFrom(envelopeFrom(frameFrom(text)), device, frameOf(text));
}

test('the messages of a batch have their own IDs, or its ID and their index', () => {
  const { msgid: _, ...plain } = status();
  const batch = messagesOf([plain, status({ msgid: 'own', from: 'plant1.b' }), { type: 'status', extra: 1 }]);
  assert.deepEqual([batch.count, batch.id, batch.qos], [3, 'b1', 1]);
  const [first, second, third] = batch.messages();
  assert.deepEqual([first?.id, second?.id], ['b1/0', 'own']);
  assert.equal((second as { device: string }).device, 'plant1.b');
  assert.match((third as { error: Error }).error.message, /unknown key "extra"/);
});

test('a message of a batch without room for an ID is refused, and a batch of quality 0 needs none', () => {
  const { msgid: _, ...plain } = status();
  const [message] = messagesOf([plain], { msgid: 'b'.repeat(63) }).messages();
  assert.match((message as { error: Error }).error.message, /^msgid: expected one, or at most 64 bytes/);
  const [unanswered] = messagesOf([plain], { msgid: undefined, qos: 0 }).messages();
  assert.equal(unanswered?.id, '');
});

test('a batch has 1 to 500 messages, and no batch', () => {
  const { msgid: _, ...plain } = status();
  assert.throws(() => messagesOf([]), /payload.messages: expected 1 to 500 items, got 0/);
  assert.throws(() => messagesOf(Array.from({ length: batchMessagesMax + 1 }, () => plain)), /got 501/);
  const [nested] = messagesOf([{ type: 'batch', payload: { messages: [plain] } }]).messages();
  assert.match((nested as { error: Error }).error.message, /expected status or event in a batch, got batch/);
});

test('an auth has what the device presents, and its errors have no secret', () => {
  const auth = (payload: object) => authFrom(envelopeFrom({ type: 'auth', payload }));
  assert.deepEqual(auth({ device, token: 'secret', challenge: 'c', instance: 'boot', protocols: ['command'] }), {
    ...{ device, token: 'secret', time: 0, nonce: '', challenge: 'c', keyId: '', signature: '', instance: 'boot' },
  });
  assert.throws(
    () => auth({ device, token: 'secret'.repeat(2_000) }),
    /^TailraceError: payload.token: .*12000 characters$/,
  );
  assert.throws(() => auth({ device: 'a b' }), /device path/);
  assert.throws(() => auth({ device, secret: 1 }), /unknown key "secret"/);
  assert.throws(() => auth({ device, time: '1' }), /payload.time: expected milliseconds since 1970, got "1"/);
});

test('seeded frames and changed messages are read or refused with a TailraceError, and their IDs are bounded', () => {
  const good = [
    JSON.stringify(status({ timestamp: 1_764_446_401_000.5, qos: 2, retain: false, ver: 1 })),
    JSON.stringify({ type: 'event', msgid: 'e', payload: { name: 'n', value: 1, readings: [{ tag: 't', value: 1 }] } }),
    JSON.stringify({ type: 'batch', msgid: 'b', payload: { messages: [status(), { type: 'event', payload: {} }] } }),
    JSON.stringify({ type: 'auth', payload: { device, token: 't', time: 1, nonce: '12345678' } }),
  ];
  const changed = fc
    .tuple(
      fc.constantFrom(...good),
      fc.array(fc.tuple(fc.nat(), fc.nat({ max: 4 }), fc.string({ maxLength: 4, unit: 'binary' })), {
        minLength: 1,
        maxLength: 4,
      }),
    )
    .map(([text, changes]) => {
      let result = text;
      for (const [place, remove, insert] of changes) {
        const at = place % (result.length + 1);
        result = result.slice(0, at) + insert + result.slice(at + remove);
      }
      return result;
    });
  const frames = fc.oneof(
    changed,
    fc.json({ maxDepth: 6 }),
    fc.string({ unit: 'binary' }),
    fc.nat({ max: 50_000 }).map((depth) => '['.repeat(depth)),
    fc
      .record({
        type: fc.constantFrom('status', 'event', 'batch', 'auth', 'bye'),
        msgid: fc.anything(),
        payload: fc.anything(),
      })
      .map((value) => JSON.stringify(value) ?? ''),
  );
  fc.assert(
    fc.property(frames, (text) => {
      try {
        const value = frameFrom(text);
        const id = messageIdOf(value);
        assert.ok(utf8Bytes(id) <= 64);
        const envelope = envelopeFrom(value);
        if (envelope.type === 'auth') authFrom(envelope);
        else if (envelope.type === 'batch') {
          for (const message of batchFrom(envelope, device, frameOf(text)).messages())
            if ('report' in message) message.report();
        } else if (envelope.type !== 'bye') messageFrom(envelope, device, frameOf(text)).report();
      } catch (error) {
        assert.ok(isTailraceError(error), String(error));
        assert.ok(error.code !== 'internal', error.message);
        assert.ok(error.message.length < 2_000, 'a bounded message');
      }
    }),
    fuzzed(3_000),
  );
});
