import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KafkaReader, KafkaWriter, varintBytes } from './bytes.ts';

test('numbers are read as they were written, at the bounds of every size', () => {
  const ints = [
    0, 1, -1, 63, 64, -64, -65, 8191, 8192, 1_048_575, 1_048_576, 134_217_727, 134_217_728, 0x3fff_ffff, -0x4000_0000,
  ];
  const longs = [
    0,
    1,
    -1,
    -2,
    2 ** 31,
    2 ** 32,
    2 ** 32 - 1,
    -(2 ** 32),
    Number.MAX_SAFE_INTEGER,
    -Number.MAX_SAFE_INTEGER,
  ];
  const out = new KafkaWriter(1);
  for (const value of ints) {
    const start = out.at;
    out.varint(value);
    assert.equal(out.at - start, varintBytes(value), `${value}`);
  }
  for (const value of longs) out.int64(value);
  for (const value of ints) out.uvarint(Math.abs(value));
  out.string('größe');
  out.compactString('測定');
  const back = new KafkaReader(out.buffer);
  for (const value of ints) assert.equal(back.varint(), value);
  for (const value of longs) assert.equal(back.int64(), value);
  for (const value of ints) assert.equal(back.uvarint(), Math.abs(value));
  assert.equal(back.string(), 'größe');
  assert.equal(back.compactString(), '測定');
  assert.equal(back.at, out.at);
});

test('varints longer than 32 bits are read, as the time of a record may be', () => {
  // Zigzag of 2^40 is 2^41: 5 groups of 7 zero bits, then 2^6.
  const back = new KafkaReader(Buffer.from([0x80, 0x80, 0x80, 0x80, 0x80, 0x40]));
  assert.equal(back.varint(), 2 ** 40);
});

test('reading beyond the end throws', () => {
  const incomplete = [0x80, 0x80];
  assert.throws(() => new KafkaReader(Buffer.from(incomplete)).uvarint(), RangeError);
  assert.throws(() => new KafkaReader(Buffer.from([0, 9, 65])).string(), RangeError);
  assert.throws(() => new KafkaReader(Buffer.from([0, 9])).int64(), RangeError);
  assert.throws(() => new KafkaReader(Buffer.alloc(3)).view(4), RangeError);
});
