import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { anyJson, mutated, mutatedBytes, nearPattern, seeded } from '../test/arbitraries.ts';
import { errorOf, resultOrError } from '../test/errors.ts';
import {
  type ClientMessage,
  clientMessageBytes,
  clientMessageFromBytes,
  clientMessageFromJson,
  clientMessageJson,
  type Deadband,
  type Subscribe,
} from './client-message.ts';
import { tailrace } from './generated/tailrace.js';

const id = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 64 });
const finite = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
const optional = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }, requiredKeys: (keyof T)[]) =>
  fc.record(model, { noNullPrototype: true, requiredKeys: requiredKeys as never[] });
const deadband = optional({ absolute: finite, percent: finite }, []) as fc.Arbitrary<Deadband>;
const subscribe = optional(
  {
    id,
    channel: nearPattern,
    snapshot: fc.boolean(),
    after: id,
    from: finite,
    speed: finite,
    maxRate: finite,
    deadband,
    tags: fc.array(id, { minLength: 1, maxLength: 3 }),
    delta: fc.boolean(),
    align: finite,
  },
  ['id', 'channel'],
) as fc.Arbitrary<Subscribe>;
const message: fc.Arbitrary<ClientMessage> = fc.oneof(
  id.map((token) => ({ auth: { token } })),
  subscribe.map((fields) => ({ subscribe: fields })),
  id.map((name) => ({ pause: { id: name } })),
  id.map((name) => ({ resume: { id: name } })),
  fc.tuple(id, finite).map(([name, speed]) => ({ resume: { id: name, speed } })),
  id.map((name) => ({ unsubscribe: { id: name } })),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((t) => ({ ping: { t: t + 0 } })),
);

test('a message survives a round trip through JSON and through Protobuf', () => {
  fc.assert(
    fc.property(message, (sent) => {
      assert.deepEqual(clientMessageFromJson(clientMessageJson(sent)), sent);
      assert.deepEqual(clientMessageFromBytes(clientMessageBytes(sent)), sent);
    }),
    seeded,
  );
});

test('an absent `snapshot` differs from false, in both encodings', () => {
  const absent: ClientMessage = { subscribe: { id: 'a', channel: 'p.>' } };
  const refused: ClientMessage = { subscribe: { id: 'a', channel: 'p.>', snapshot: false } };
  assert.deepEqual(clientMessageFromBytes(clientMessageBytes(absent)), absent);
  assert.deepEqual(clientMessageFromBytes(clientMessageBytes(refused)), refused);
  assert.deepEqual(clientMessageFromJson('{"subscribe":{"id":"a","channel":"p.>","snapshot":null}}'), absent);
});

test('every error of a message has what was expected and the value', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['', /^message: expected a JSON object, as in \{"ping":\{"t":1\}\}, got ""$/],
    ['{"ping":', /^message: expected a JSON object, as in \{"ping":\{"t":1\}\}, got "\{\\"ping\\":"$/],
    ['[]', /^message: expected one of auth, subscribe, unsubscribe, ping, .*, got \[\]$/],
    ['null', /^message: expected one of auth, .*, got null$/],
    ['{}', /^message: expected one of auth, .*, got \{\}$/],
    ['{"foo":{}}', /^message: expected one of auth, subscribe, unsubscribe, ping, .*, got "foo"$/],
    ['{"__proto__":{}}', /^message: expected one of auth, .*, got "__proto__"$/],
    ['{"constructor":{}}', /^message: expected one of auth, .*, got "constructor"$/],
    ['{"ping":{"t":1},"auth":{"token":"x"}}', /^message: expected one of auth, .*, got 2 keys, \["ping","auth"\]$/],
    ['{"ping":7}', /^ping: expected an object with t, got 7$/],
    ['{"ping":{"t":"1"}}', /^ping\.t: expected a finite number, got "1"$/],
    ['{"ping":{"t":1e999}}', /^ping\.t: expected a finite number, got Infinity$/],
    ['{"ping":{}}', /^ping\.t: expected a finite number, got undefined$/],
    ['{"ping":{"t":1,"x":2}}', /^ping: expected the fields t, got the unknown field "x"$/],
    ['{"auth":{}}', /^auth\.token: expected a token of 1 to 8192 characters, got undefined$/],
    ['{"subscribe":{"channel":"a"}}', /^subscribe\.id: expected a text of 1 to 64 bytes .*, got undefined$/],
    ['{"subscribe":{"id":"","channel":"a"}}', /^subscribe\.id: .*, got ""$/],
    [`{"subscribe":{"id":"${'é'.repeat(33)}","channel":"a"}}`, /^subscribe\.id: .*, got "éé/],
    ['{"subscribe":{"id":"a","channel":"a","snapshot":1}}', /^subscribe\.snapshot: expected true or false, got 1$/],
    [
      '{"subscribe":{"id":"a","channel":"a","__proto__":{}}}',
      /^subscribe: expected the fields id, channel, snapshot, .*, got the unknown field "__proto__"$/,
    ],
    ['{"subscribe":{"id":"a"}}', /^subscribe\.channel: expected a text of at most 202 bytes, got undefined$/],
    ['{"subscribe":{"id":"a","channel":7}}', /^subscribe\.channel: .*, got 7$/],
    [`{"subscribe":{"id":"a","channel":"${'x'.repeat(203)}"}}`, /^subscribe\.channel: .*, got "xx/],
    ['{"subscribe":{"id":"a","channel":"\\ud800"}}', /^subscribe\.channel: .*, got "\\ud800"$/],
    ['{"unsubscribe":{"id":7}}', /^unsubscribe\.id: .*, got 7$/],
    ['{"pause":{}}', /^pause\.id: .*, got undefined$/],
    ['{"resume":{"id":"a","speed":"fast"}}', /^resume\.speed: expected a finite number, got "fast"$/],
    ['{"subscribe":{"id":"a","channel":"a","from":"now"}}', /^subscribe\.from: expected a finite number, got "now"$/],
    ['{"subscribe":{"id":"a","channel":"a","maxRate":1e999}}', /^subscribe\.maxRate: .*, got Infinity$/],
    [
      '{"subscribe":{"id":"a","channel":"a","deadband":5}}',
      /^subscribe\.deadband: expected an object with absolute, percent, got 5$/,
    ],
    [
      '{"subscribe":{"id":"a","channel":"a","deadband":{"abs":5}}}',
      /^subscribe\.deadband: expected the fields absolute, percent, got the unknown field "abs"$/,
    ],
    ['{"subscribe":{"id":"a","channel":"a","tags":"t"}}', /^subscribe\.tags: expected an array of texts, got "t"$/],
    ['{"subscribe":{"id":"a","channel":"a","tags":[1]}}', /^subscribe\.tags: .*, got \[1\]$/],
  ];
  for (const [text, expected] of cases) {
    assert.match(errorOf(() => clientMessageFromJson(text), 'invalid_message').message, expected);
  }
});

test('a channel that is not a pattern is not an error of the message', () => {
  for (const channel of ['a b', '', '..', 'x'.repeat(202)]) {
    const sent = { subscribe: { id: 'a', channel } };
    assert.deepEqual(clientMessageFromJson(JSON.stringify(sent)), sent);
    assert.deepEqual(clientMessageFromBytes(tailrace.v1.ClientMessage.encode(sent).finish()), sent);
  }
});

test('an empty or too long token is unauthorized', () => {
  for (const length of [0, 8193]) {
    const text = JSON.stringify({ auth: { token: 'x'.repeat(length) } });
    const error = errorOf(() => clientMessageFromJson(text), 'unauthorized');
    assert.equal(error.message, `auth.token: expected a token of 1 to 8192 characters, got ${length} characters`);
  }
});

test('an error message never has the token', () => {
  const secret = 'secret'.repeat(2000);
  assert.doesNotMatch(
    errorOf(() => clientMessageFromJson(clientMessageJson({ auth: { token: secret } })), 'unauthorized').message,
    /secret/,
  );
});

test('a message that is too large is rejected before it is parsed', () => {
  errorOf(() => clientMessageFromJson('['.repeat(1_048_577)), 'too_large');
  errorOf(() => clientMessageFromBytes(new Uint8Array(1_048_577)), 'too_large');
});

test('invalid Protobuf, and a message of a later version, are invalid messages', () => {
  assert.match(
    errorOf(() => clientMessageFromBytes(new Uint8Array()), 'invalid_message').message,
    /^message: expected one of auth, .*, got none of them$/,
  );
  assert.match(
    errorOf(() => clientMessageFromBytes(Uint8Array.of(0xfa, 0x06, 0)), 'invalid_message').message,
    /^message: expected one of auth, .*, got none of them$/,
  );
  assert.match(
    errorOf(() => clientMessageFromBytes(Uint8Array.of(0x0a, 9)), 'invalid_message').message,
    /^message: expected one Protobuf ClientMessage in a binary frame, got 2 invalid bytes$/,
  );
  const { ClientMessage: generated } = tailrace.v1;
  errorOf(() => clientMessageFromBytes(generated.encode({ ping: { t: Number.NaN } }).finish()), 'invalid_message');
  errorOf(
    () => clientMessageFromBytes(generated.encode({ subscribe: { id: '', channel: '' } }).finish()),
    'invalid_message',
  );
});

test('garbage and mutated messages never crash, and the result is a message', () => {
  const text = fc.oneof(
    fc.string(),
    anyJson.map((value) => JSON.stringify(value) ?? ''),
    message.chain((sent) => mutated(sent)).map((value) => JSON.stringify(value) ?? ''),
    fc.constantFrom(`${'['.repeat(30_000)}`, `${'{"ping":'.repeat(5000)}1${'}'.repeat(5000)}`),
  );
  const codes = ['invalid_message', 'unauthorized', 'too_large'] as const;
  fc.assert(
    fc.property(text, (sent) => {
      const read = resultOrError(() => clientMessageFromJson(sent), ...codes);
      if (read !== undefined) assert.deepEqual(clientMessageFromBytes(clientMessageBytes(read)), read);
    }),
    { ...seeded, numRuns: 1000 },
  );
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    message.chain((sent) => mutatedBytes(clientMessageBytes(sent))),
  );
  fc.assert(
    fc.property(bytes, (sent) => {
      resultOrError(() => clientMessageFromBytes(sent), ...codes);
    }),
    { ...seeded, numRuns: 1000 },
  );
});
