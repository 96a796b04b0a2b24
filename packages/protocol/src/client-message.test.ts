import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { anyJson, mutated, mutatedBytes, nearPattern, seeded } from '../test/arbitraries.ts';
import { faultOf, resultOrFault } from '../test/faults.ts';
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
  subscribe.map((wish) => ({ subscribe: wish })),
  id.map((name) => ({ pause: { id: name } })),
  id.map((name) => ({ resume: { id: name } })),
  fc.tuple(id, finite).map(([name, speed]) => ({ resume: { id: name, speed } })),
  id.map((name) => ({ unsubscribe: { id: name } })),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((t) => ({ ping: { t: t + 0 } })),
);

test('a message survives the way through JSON and through Protobuf', () => {
  fc.assert(
    fc.property(message, (sent) => {
      assert.deepEqual(clientMessageFromJson(clientMessageJson(sent)), sent);
      assert.deepEqual(clientMessageFromBytes(clientMessageBytes(sent)), sent);
    }),
    seeded,
  );
});

test('whether a snapshot is wanted is known to be unsaid, in both encodings', () => {
  const unsaid: ClientMessage = { subscribe: { id: 'a', channel: 'p.>' } };
  const refused: ClientMessage = { subscribe: { id: 'a', channel: 'p.>', snapshot: false } };
  assert.deepEqual(clientMessageFromBytes(clientMessageBytes(unsaid)), unsaid);
  assert.deepEqual(clientMessageFromBytes(clientMessageBytes(refused)), refused);
  assert.deepEqual(clientMessageFromJson('{"subscribe":{"id":"a","channel":"p.>","snapshot":null}}'), unsaid);
});

test('every fault of a message is said with the value and what would be right', () => {
  const faults: readonly (readonly [string, RegExp])[] = [
    ['', /"" is not JSON; right is one message as a JSON object/],
    ['{"ping":', /is not JSON/],
    ['[]', /the message is \[\]; right is one of auth, subscribe, unsubscribe, ping/],
    ['null', /the message is null/],
    ['{}', /the message is empty; right is one of auth/],
    ['{"foo":{}}', /"foo" is no message; right is one of auth, subscribe, unsubscribe, ping/],
    ['{"__proto__":{}}', /"__proto__" is no message/],
    ['{"constructor":{}}', /"constructor" is no message/],
    ['{"ping":{"t":1},"auth":{"token":"x"}}', /has 2 keys, \["ping","auth"\]/],
    ['{"ping":7}', /ping is 7; right is an object with t/],
    ['{"ping":{"t":"1"}}', /ping\.t is "1"; right is a finite number/],
    ['{"ping":{"t":1e999}}', /ping\.t is Infinity/],
    ['{"ping":{}}', /ping\.t is undefined/],
    ['{"ping":{"t":1,"x":2}}', /ping has the unknown field "x"; right is t/],
    ['{"auth":{}}', /auth\.token is undefined; right is a token of 1 to 8192 characters/],
    ['{"subscribe":{"channel":"a"}}', /subscribe\.id is undefined; right is a text of 1 to 64 bytes/],
    ['{"subscribe":{"id":"","channel":"a"}}', /subscribe\.id is ""/],
    [`{"subscribe":{"id":"${'é'.repeat(33)}","channel":"a"}}`, /subscribe\.id is "éé/],
    ['{"subscribe":{"id":"a","channel":"a","snapshot":1}}', /subscribe\.snapshot is 1; right is true or false/],
    [
      '{"subscribe":{"id":"a","channel":"a","__proto__":{}}}',
      /subscribe has the unknown field "__proto__"; right is id, channel, snapshot/,
    ],
    ['{"subscribe":{"id":"a"}}', /subscribe\.channel is undefined; right is a text of at most 202 bytes/],
    ['{"subscribe":{"id":"a","channel":7}}', /subscribe\.channel is 7/],
    [`{"subscribe":{"id":"a","channel":"${'x'.repeat(203)}"}}`, /subscribe\.channel is "xx/],
    ['{"subscribe":{"id":"a","channel":"\\ud800"}}', /subscribe\.channel is "\\ud800"/],
    ['{"unsubscribe":{"id":7}}', /unsubscribe\.id is 7/],
    ['{"pause":{}}', /pause\.id is undefined/],
    ['{"resume":{"id":"a","speed":"fast"}}', /resume\.speed is "fast"; right is a finite number/],
    ['{"subscribe":{"id":"a","channel":"a","from":"now"}}', /subscribe\.from is "now"; right is a finite number/],
    ['{"subscribe":{"id":"a","channel":"a","maxRate":1e999}}', /subscribe\.maxRate is Infinity/],
    [
      '{"subscribe":{"id":"a","channel":"a","deadband":5}}',
      /subscribe\.deadband is 5; right is an object with absolute/,
    ],
    ['{"subscribe":{"id":"a","channel":"a","deadband":{"abs":5}}}', /unknown field "abs"; right is absolute, percent/],
    ['{"subscribe":{"id":"a","channel":"a","tags":"t"}}', /subscribe\.tags is "t"; right is an array of texts/],
    ['{"subscribe":{"id":"a","channel":"a","tags":[1]}}', /subscribe\.tags is \[1\]/],
  ];
  for (const [text, expected] of faults) {
    assert.match(faultOf(() => clientMessageFromJson(text), 'invalid_message').message, expected);
  }
});

test('a channel that is no pattern is left to whoever can say which subscription it concerns', () => {
  for (const channel of ['a b', '', '..', 'x'.repeat(202)]) {
    const sent = { subscribe: { id: 'a', channel } };
    assert.deepEqual(clientMessageFromJson(JSON.stringify(sent)), sent);
    assert.deepEqual(clientMessageFromBytes(tailrace.v1.ClientMessage.encode(sent).finish()), sent);
  }
});

test('a text that is too long or too short for a token is a token that does not hold', () => {
  for (const length of [0, 8193]) {
    const text = JSON.stringify({ auth: { token: 'x'.repeat(length) } });
    const fault = faultOf(() => clientMessageFromJson(text), 'unauthorized');
    assert.equal(
      fault.message,
      `auth.token is a text of ${length} characters; right is a token of 1 to 8192 characters`,
    );
  }
});

test('a token never stands in an error message', () => {
  const secret = 'secret'.repeat(2000);
  assert.doesNotMatch(
    faultOf(() => clientMessageFromJson(clientMessageJson({ auth: { token: secret } })), 'unauthorized').message,
    /secret/,
  );
});

test('what is too large is refused before it is parsed', () => {
  faultOf(() => clientMessageFromJson('['.repeat(1_048_577)), 'too_large');
  faultOf(() => clientMessageFromBytes(new Uint8Array(1_048_577)), 'too_large');
});

test('Protobuf that is no message, or one of a later version, is said to be', () => {
  assert.match(
    faultOf(() => clientMessageFromBytes(new Uint8Array()), 'invalid_message').message,
    /right is one of auth/,
  );
  assert.match(
    faultOf(() => clientMessageFromBytes(Uint8Array.of(0x7a, 0)), 'invalid_message').message,
    /none of those known/,
  );
  assert.match(
    faultOf(() => clientMessageFromBytes(Uint8Array.of(0x0a, 9)), 'invalid_message').message,
    /not a Protobuf ClientMessage/,
  );
  const { ClientMessage: generated } = tailrace.v1;
  faultOf(() => clientMessageFromBytes(generated.encode({ ping: { t: Number.NaN } }).finish()), 'invalid_message');
  faultOf(
    () => clientMessageFromBytes(generated.encode({ subscribe: { id: '', channel: '' } }).finish()),
    'invalid_message',
  );
});

test('garbage and mutated messages never crash, and what passes is a message', () => {
  const text = fc.oneof(
    fc.string(),
    anyJson.map((value) => JSON.stringify(value) ?? ''),
    message.chain((sent) => mutated(sent)).map((value) => JSON.stringify(value) ?? ''),
    fc.constantFrom(`${'['.repeat(30_000)}`, `${'{"ping":'.repeat(5000)}1${'}'.repeat(5000)}`),
  );
  const codes = ['invalid_message', 'unauthorized', 'too_large'] as const;
  fc.assert(
    fc.property(text, (sent) => {
      const read = resultOrFault(() => clientMessageFromJson(sent), ...codes);
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
      resultOrFault(() => clientMessageFromBytes(sent), ...codes);
    }),
    { ...seeded, numRuns: 1000 },
  );
});
