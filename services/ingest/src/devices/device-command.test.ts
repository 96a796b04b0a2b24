import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import { commandPayload, commandReplyFrom } from './device-command.ts';

test('a reply has its fields, null counts as absent, and a message is shortened', () => {
  assert.deepEqual(commandReplyFrom({ command: 'c1', state: 'done' }), { id: 'c1', state: 'done', message: '' });
  // MQTT calls it `id`.
  assert.deepEqual(commandReplyFrom({ id: 'c1', state: 'expired', code: null, after: null }), {
    ...{ id: 'c1', state: 'expired', message: '' },
  });
  const reply = commandReplyFrom({
    ...{ command: 'c1', state: 'failed', code: 'conflict', message: `a\nb${'x'.repeat(600)}` },
    ...{ before: false, after: 'on', confirmedBy: 'read_back' },
  });
  assert.deepEqual(reply, {
    ...{ id: 'c1', state: 'failed', code: 'conflict', message: `a b${'x'.repeat(497)}` },
    ...{ before: false, after: 'on', confirmedBy: 'read_back' },
  });
});

test('an invalid reply is refused, and the error names the field', () => {
  for (const [value, message] of [
    [[], /^payload: expected an object, got \[\]/],
    [{ state: 'done' }, /^payload\.command: /],
    [{ command: 'c1', state: 'maybe' }, /^payload\.state: expected done, failed, unconfirmed, expired, got "maybe"/],
    [{ command: 'c1', state: 'done', code: 'oops' }, /^payload\.code: /],
    [{ command: 'c1', state: 'done', message: 1 }, /^payload\.message: /],
    [{ command: 'c1', state: 'done', after: {} }, /^payload\.after: /],
    [{ command: 'c1', state: 'done', confirmedBy: 'me' }, /^payload\.confirmedBy: /],
    [{ command: 'c1', state: 'done', value: 1 }, /the unknown key "value"/],
  ] as const)
    assert.throws(() => commandReplyFrom(value), { code: 'invalid_message', message });
});

test('any JSON is a valid reply or one error', () => {
  const states = fc.constantFrom('done', 'failed', 'unconfirmed', 'expired');
  const value = fc.oneof(fc.jsonValue(), fc.string());
  const reply = fc.record({
    ...{ command: fc.oneof(fc.string({ minLength: 1, maxLength: 70 }), value), state: fc.oneof(states, value) },
    ...{ message: value, before: value, after: value },
  });
  let valid = 0;
  fc.assert(
    fc.property(fc.oneof(reply, fc.jsonValue()), (json) => {
      try {
        const { message } = commandReplyFrom(json);
        assert.ok(message.length <= 500);
        valid++;
      } catch (error) {
        assert.ok(error instanceof TailraceError && error.code === 'invalid_message', String(error));
      }
    }),
    fuzzed(3_000),
  );
  assert.ok(valid > 0);
});

test('a command has no fence if there is none', () => {
  const command = { id: 'c1', device: 'a', name: 'stop', params: {}, qos: 2, deadline: 2, expiresInMs: 1 } as const;
  assert.equal(
    JSON.stringify(commandPayload({ ...command, fence: 0 })),
    '{"name":"stop","params":{},"deadline":2,"expiresInMs":1,"qos":2}',
  );
});
