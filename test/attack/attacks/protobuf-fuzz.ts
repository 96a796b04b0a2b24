import { type ClientMessage, clientMessageBytes } from '@tailrace/protocol/client-message';
import fc from 'fast-check';
import type { Attack } from '../attack-definition.ts';
import { AttackStream } from '../attack-stream.ts';

/** TAILRACE_FUZZ_SEED sets another one. */
const seed = Number(process.env['TAILRACE_FUZZ_SEED'] ?? 1);
const atOnce = 8;
const messagesEach = 20;
const samples = { full: 40_000, small: 800 };

const id = fc.constantFrom('a', 'b', 'c', 'é', '', 'x'.repeat(65), '\u0000');
const channel = fc.constantFrom('a.d', 'a.>', 'a', '>', 'b.>', 'a..d', '', 'a.>.d', `a.${'x'.repeat(300)}`);
const number = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(0, -1, 1e308, Number.NaN, Number.POSITIVE_INFINITY));
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const subscribe = fc.record({
  id,
  channel,
  snapshot: optional(fc.boolean()),
  after: optional(fc.oneof(fc.string(), fc.constantFrom('AQ', 'AQVrM0o5eAAr', '!', 'A'.repeat(70_000)))),
  from: optional(fc.oneof(number, fc.constant(Date.now() - 1_000))),
  speed: optional(number),
  maxRate: optional(number),
  deadband: optional(fc.record({ absolute: optional(number), percent: optional(number) })),
  tags: optional(fc.array(fc.string({ maxLength: 140 }), { maxLength: 110 })),
  delta: optional(fc.boolean()),
  align: optional(number),
});
/** Well-formed client messages of all kinds, valid or not. */
const message = fc.oneof(
  { weight: 6, arbitrary: fc.record({ subscribe }) },
  { weight: 1, arbitrary: fc.record({ unsubscribe: fc.record({ id }) }) },
  { weight: 1, arbitrary: fc.record({ ping: fc.record({ t: number }) }) },
  { weight: 1, arbitrary: fc.record({ auth: fc.record({ token: fc.string({ maxLength: 9_000 }) }) }) },
  { weight: 1, arbitrary: fc.record({ pause: fc.record({ id }) }) },
  { weight: 1, arbitrary: fc.record({ resume: fc.record({ id, speed: optional(number) }) }) },
) as fc.Arbitrary<ClientMessage>;

/** The bytes of such messages with some of them changed, removed, repeated or truncated. */
const mutated = fc
  .tuple(message.map(clientMessageBytes), fc.array(fc.tuple(fc.nat(20_000), fc.nat(4), fc.nat(255)), { maxLength: 3 }))
  .map(([bytes, changes]) => {
    let result = Buffer.from(bytes);
    for (const [at, kind, byte] of changes) {
      if (result.length === 0) break;
      const index = at % result.length;
      const [before, after] = [result.subarray(0, index), result.subarray(index)];
      if (kind === 0) result[index] = byte;
      else if (kind === 1) result = Buffer.concat([before, Buffer.from([byte]), after]);
      else if (kind === 2) result = Buffer.concat([before, after.subarray(1)]);
      else if (kind === 3) result = Buffer.from(before);
      else result = Buffer.concat([before, after, after]);
    }
    return result.subarray(0, 16_384);
  });

/**
 * Messages of every kind and option with a few changed bytes: each is answered or closes the connection, without an
 * internal error.
 */
export const protobufFuzz: Attack = {
  name: 'protobuf-fuzz',
  words: 'mutated Protobuf of all kinds of client messages, 160 at a time',
  targets: ['standalone', 'stack'],
  refusals: ['close 4400'],
  forbidden: ['close 1011', 'close 1006'],
  async run(context) {
    const all = fc.sample(mutated, { seed, numRuns: samples[context.size] });
    for (let from = 0; !context.isExpired(); from = (from + atOnce * messagesEach) % all.length) {
      await Promise.all(
        Array.from({ length: atOnce }, async (_, i) => {
          const stream = await AttackStream.open(context, { protocol: 'tailrace.v1.proto' });
          if (stream === undefined) return;
          const start = from + i * messagesEach;
          for (const bytes of all.slice(start, start + messagesEach)) stream.send(bytes);
          context.counts.add('messages', messagesEach);
          await Promise.race([stream.closed, context.sleep(100)]);
          stream.terminate();
        }),
      );
    }
  },
};
