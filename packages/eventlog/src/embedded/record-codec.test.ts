import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeRecord, encodedSize, encodeRecord, sumBytesOf, timeOf } from './record-codec.ts';

test('a decoded record equals the encoded one, with the running sum', () => {
  const key = fc.string({ maxLength: 50, unit: 'grapheme' });
  const headers = fc.option(fc.dictionary(fc.string({ maxLength: 10 }), fc.string({ maxLength: 20 })), {
    nil: undefined,
  });
  fc.assert(
    fc.property(key, fc.uint8Array(), headers, fc.nat(), fc.nat(), (recordKey, value, given, seq, sumBefore) => {
      const record = { key: recordKey, value, ...(given === undefined ? {} : { headers: given }) };
      const encoded = encodeRecord(record, seq, 1_634_567_890_123.25, sumBefore);
      const back = decodeRecord(encoded.bytes, seq);
      assert.equal(back.key, recordKey.toWellFormed());
      assert.deepEqual(Uint8Array.from(back.value), value);
      assert.deepEqual({ ...back.headers }, { ...given });
      assert.equal(back.timeMs, 1_634_567_890_123.25);
      assert.equal(timeOf(encoded.bytes), back.timeMs);
      assert.equal(sumBytesOf(encoded.bytes), sumBefore + encoded.bytes.length);
      assert.equal(encoded.sumBytes, sumBefore + encoded.bytes.length);
      if (given === undefined) assert.ok(encodedSize(record) >= encoded.bytes.length);
    }),
  );
});

test('damaged bytes are an unreadable position, and nothing is read beyond their end', () => {
  const { bytes } = encodeRecord({ key: 'plant1.press', value: new Uint8Array(10) }, 7, 1, 0);
  const { bytes: headed } = encodeRecord({ key: 'a', value: new Uint8Array(1), headers: { b: 'c' } }, 7, 1, 0);
  headed[23] = 0x7d;
  for (const damaged of [
    bytes.subarray(0, 5),
    bytes.subarray(0, 25),
    Buffer.alloc(0),
    Buffer.alloc(40, 0xff),
    headed,
  ]) {
    const { seq, key, value, unreadable } = decodeRecord(damaged, 7);
    assert.deepEqual([seq, key, value.length, unreadable?.until, unreadable?.reason], [7, '', 0, 8, 'malformed']);
    assert.ok(timeOf(damaged) >= 0 || Number.isNaN(timeOf(damaged)));
  }
});
