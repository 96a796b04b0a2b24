import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTailraceError } from '@tailrace/protocol/error';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import { sparkplugLimits } from './limits.ts';
import { decodePayload, encodePayload, type Metric } from './payload.ts';

/** The same cases in every run. */
const seeded = fuzzed();

/** A field with a length and these bytes. The field number is below 16. */
function field(number: number, bytes: Uint8Array): Uint8Array {
  const length: number[] = [];
  for (let rest = bytes.length; ; rest >>>= 7) {
    if (rest < 128) {
      length.push(rest);
      break;
    }
    length.push((rest & 127) | 128);
  }
  return Uint8Array.of(number * 8 + 2, ...length, ...bytes);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

test('a payload is encoded by the field numbers of the specification', () => {
  const bytes = encodePayload({ timestamp: 5, seq: 0, metrics: [{ name: 'a', alias: 0, datatype: 3, intValue: 7 }] });
  assert.equal(Buffer.from(bytes).toString('hex'), '0805' + '12090a0161100020035007' + '1800');
});

test('an absent field is null, and 0 is a value', () => {
  const { seq, timestamp, metrics } = decodePayload(encodePayload({ seq: 0, metrics: [{ alias: 0 }] }));
  assert.equal(seq, 0);
  assert.equal(timestamp, null);
  assert.equal(metrics[0]!.alias, 0);
  assert.equal(metrics[0]!.name, null);
  assert.equal(metrics[0]!.isNull, null);
});

test('64-bit integers are exact', () => {
  for (const value of [0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
    const { metrics } = decodePayload(encodePayload({ metrics: [{ alias: value, longValue: value }] }));
    assert.equal(metrics[0]!.longValue, value);
    assert.equal(metrics[0]!.alias, value);
  }
});

test('messages that are not read are kept as bytes', () => {
  let nested: Uint8Array = new Uint8Array();
  for (let depth = 0; depth < 1_000; depth++) nested = field(2, field(15, nested));
  const { metrics } = decodePayload(encodePayload({ metrics: [{ name: 't', templateValue: nested }] }));
  assert.deepEqual(metrics[0]!.templateValue?.length, nested.length);
});

test('a payload over a limit is rejected before it is decoded', () => {
  const { payloadBytesMax, metricsMax } = sparkplugLimits;
  const metrics = joined(Array.from({ length: metricsMax }, () => Uint8Array.of(0x12, 0)));
  assert.equal(decodePayload(metrics).metrics.length, metricsMax);
  for (const bytes of [
    joined([metrics, Uint8Array.of(0x12, 0)]),
    // A million metrics of two bytes would be 200 MB of objects.
    new Uint8Array(payloadBytesMax).map((_, index) => (index % 2 === 0 ? 0x12 : 0)),
    new Uint8Array(payloadBytesMax + 1),
    // One metric with many properties, and unknown fields.
    field(2, field(9, joined(Array.from({ length: 10_001 }, () => Uint8Array.of(0x0a, 0, 0x12, 0))))),
    joined(Array.from({ length: 20_001 }, () => Uint8Array.of(0x38, 0))),
    field(2, joined(Array.from({ length: 20_001 }, () => Uint8Array.of(0xa0, 1, 0)))),
  ]) {
    assert.throws(() => decodePayload(bytes), { code: 'too_large' });
  }
});

test('malformed bytes are one error', () => {
  for (const bytes of [
    [0x12, 5, 0x0a], // a length beyond the end
    [0x12, 3, 0x0a, 2, 0x61], // a name beyond its metric
    [0x12, 3, 0x0a, 1, 0xff], // not UTF-8
    [0x13], // a group
    [0x08, ...new Array<number>(10).fill(0xff), 1], // an integer of 11 bytes
    [0x00, 0x00], // field 0
  ]) {
    assert.throws(() => decodePayload(Uint8Array.from(bytes)), { code: 'invalid_message' });
  }
});

test('an unknown field is ignored', () => {
  const bytes = joined([encodePayload({ seq: 3 }), Uint8Array.of(0x30, 1), field(7, Uint8Array.of(1, 2, 3))]);
  assert.equal(decodePayload(bytes).seq, 3);
});

const uint64 = fc.oneof(fc.maxSafeNat(), fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }));
const metric: fc.Arbitrary<Metric> = fc.record(
  {
    name: fc.string(),
    alias: uint64,
    timestamp: uint64,
    datatype: fc.integer({ min: 0, max: 40 }),
    isHistorical: fc.boolean(),
    isNull: fc.boolean(),
    longValue: uint64,
  },
  { requiredKeys: [], noNullPrototype: true },
);
const payload = fc.record(
  { timestamp: uint64, seq: uint64, metrics: fc.array(metric, { maxLength: 5 }) },
  { requiredKeys: ['metrics'], noNullPrototype: true },
);

test('property: a payload is decoded as it was encoded', () => {
  fc.assert(
    fc.property(payload, (fields) => {
      const decoded = decodePayload(encodePayload(fields));
      assert.equal(decoded.timestamp, fields.timestamp ?? null);
      assert.equal(decoded.seq, fields.seq ?? null);
      assert.deepEqual(
        decoded.metrics.map((each) => ({ ...each })),
        fields.metrics,
      );
    }),
    seeded,
  );
});

test('fuzz: changed bytes are decoded, or are one TailraceError', () => {
  const changes = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat({ max: 3 })), { maxLength: 6 });
  fc.assert(
    fc.property(payload, changes, fc.nat(), (fields, edits, end) => {
      let bytes = [...encodePayload(fields)];
      for (const [at, byte, kind] of edits) {
        const index = at % (bytes.length + 1);
        if (kind === 0) bytes = bytes.toSpliced(index, 1);
        else if (kind === 1) bytes = bytes.toSpliced(index, 0, byte);
        else bytes = bytes.toSpliced(index, 1, byte);
      }
      const hostile = Uint8Array.from(end % 3 === 0 ? bytes.slice(0, end % (bytes.length + 1)) : bytes);
      try {
        const { metrics } = decodePayload(hostile);
        assert.ok(metrics.length <= sparkplugLimits.metricsMax);
      } catch (error) {
        assert.ok(isTailraceError(error), String(error));
      }
    }),
    fuzzed(2_000),
  );
});

test('fuzz: random bytes are decoded, or are one TailraceError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decodePayload(bytes);
      } catch (error) {
        assert.ok(isTailraceError(error), String(error));
      }
    }),
    fuzzed(2_000),
  );
});
