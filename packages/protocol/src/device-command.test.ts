import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import {
  assertCommand,
  type CommandOutcome,
  commandStates,
  type DeviceCommand,
  decodeCommandOutcome,
  decodeCommandRequest,
  encodeCommandOutcome,
  encodeCommandRequest,
} from './device-command.ts';
import { deviceCommandFromJson } from './device-command-json.ts';
import { TailraceError } from './error.ts';

const command: DeviceCommand = {
  ...{ id: 'c-17', device: 'plant1.line2.press7', name: 'set', params: { speed: 3, running: true, recipe: 'B-17' } },
  ...{ qos: 1, deadline: 1_764_446_411_000, issued: 1_764_446_401_000, fence: 3, session: 1_764_446_400_001 },
  ...{ subject: 'anna', traceparent: '', via: 'plant1.edge1' },
};

test('a command, a query and a cancel keep their fields', () => {
  assert.deepEqual(decodeCommandRequest(encodeCommandRequest({ command })), { command });
  const query = { id: 'c-17', device: 'plant1.line2.press7' };
  assert.deepEqual(decodeCommandRequest(encodeCommandRequest({ query })), { query });
  assert.deepEqual(decodeCommandRequest(encodeCommandRequest({ cancel: query })), { cancel: query });
  // A name that is special in JavaScript is a parameter like others.
  const named = { ...command, params: JSON.parse('{"__proto__":1,"constructor":2}') as DeviceCommand['params'] };
  const decoded = decodeCommandRequest(encodeCommandRequest({ command: named })) as { command: DeviceCommand };
  assert.equal(JSON.stringify(decoded.command.params), '{"__proto__":1,"constructor":2}');
  assert.equal(Object.getPrototypeOf(decoded.command.params), Object.prototype);
});

test('an outcome keeps its fields, in each state', () => {
  const least = { id: 'c', device: 'a', time: 1, node: 'n', session: 0, attempt: 0, message: '', holder: '' };
  const most = { code: 'conflict', confirmedBy: 'read_back', before: false, after: 'x', holder: 'ingest-1' } as const;
  for (const state of commandStates) {
    for (const outcome of [
      { ...least, state },
      { ...least, ...most, state },
      { ...least, state, before: 0, after: '' },
    ] as readonly CommandOutcome[])
      assert.deepEqual(decodeCommandOutcome(encodeCommandOutcome(outcome)), outcome);
  }
});

test('each field of a command is checked, and the error names it', () => {
  const invalid: readonly (readonly [Partial<Record<keyof DeviceCommand, unknown>>, RegExp])[] = [
    [{ id: '' }, /^id: expected a text of 1 to 64 bytes/],
    [{ id: 'ä'.repeat(33) }, /^id: /],
    [{ id: 'a\nb' }, /^id: /],
    [{ device: 'a..b' }, /^device path: /],
    [{ name: 'open valve' }, /^name: expected 1 to 64 letters/],
    [{ params: { a: Number.NaN } }, /^params.a: expected a finite number/],
    [{ params: { a: null } }, /^params.a: /],
    [{ params: { a: 'x\0' } }, /^params.a: expected .* a text without NUL/],
    [{ params: { '': 1 } }, /^params: expected names/],
    [
      { params: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`p${i}`, 1])) },
      /^params: expected at most 32/,
    ],
    [{ params: { a: 'x'.repeat(4_096) } }, /^params: expected at most 4096 bytes/],
    [{ qos: 3 }, /^qos: expected 0, 1 or 2, got 3/],
    [{ deadline: 0 }, /^deadline: /],
    [{ deadline: Number.POSITIVE_INFINITY }, /^deadline: /],
    [{ issued: -1 }, /^issued: /],
    [{ fence: 1.5 }, /^fence: /],
    [{ session: -1 }, /^session: /],
    [{ subject: 'x'.repeat(201) }, /^subject: /],
    [{ via: 'a..b' }, /^device path: /],
    [{ traceparent: 'x'.repeat(65) }, /^traceparent: /],
  ];
  for (const [fields, message] of invalid)
    assert.throws(() => assertCommand({ ...command, ...fields } as DeviceCommand), { message });
});

test('a command as JSON has defaults, and no unknown keys', () => {
  const { id, device, name, deadline } = command;
  assert.deepEqual(deviceCommandFromJson({ id, device, name, deadline }), {
    ...{ id, device, name, deadline, params: {}, qos: 1, issued: 0, fence: 0, session: 0 },
    ...{ subject: '', traceparent: '', via: '' },
  });
  assert.throws(() => deviceCommandFromJson({ id, device, name }), { code: 'invalid_message' });
  assert.throws(() => deviceCommandFromJson({ id, device, name, deadline, speed: 1 }), /the key "speed"/);
  for (const value of [undefined, null, 1, [], 'x'])
    assert.throws(() => deviceCommandFromJson(value), { code: 'invalid_message' });
});

test('any bytes are a valid request or outcome, or one error', () => {
  const valid = [
    encodeCommandRequest({ command }),
    encodeCommandRequest({ query: { id: 'c', device: 'a' } }),
    encodeCommandRequest({ cancel: { id: 'c', device: 'a' } }),
    encodeCommandOutcome({
      ...{ id: 'c', device: 'a', state: 'done', time: 1, node: 'n', session: 5, attempt: 1, message: 'm', holder: '' },
      ...{ before: 1, after: 2, confirmedBy: 'device' },
    }),
  ];
  const damaged = fc
    .record({
      from: fc.constantFrom(...valid),
      changes: fc.array(fc.record({ at: fc.nat(), to: fc.nat(255) }), { maxLength: 4 }),
      length: fc.nat(200),
    })
    .map(({ from, changes, length }) => {
      const bytes = Uint8Array.from(from);
      for (const { at, to } of changes) bytes[at % bytes.length] = to;
      return bytes.subarray(0, length);
    });
  const decoders = [decodeCommandRequest, decodeCommandOutcome];
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), damaged), (bytes) => {
      for (const decode of decoders) {
        try {
          const value = decode(bytes);
          if ('command' in value) assertCommand(value.command);
        } catch (error) {
          assert.ok(error instanceof TailraceError, String(error));
          assert.match(error.code, /^invalid_(message|path)$/);
        }
      }
    }),
    fuzzed(3_000),
  );
});
