import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { KafkaWriter } from './bytes.ts';
import { kafkaCodecs } from './codecs.ts';
import { batchOverheadBytes, type OutRecord, readRecords, writeBatch } from './records.ts';

const identity = { producerId: 7, producerEpoch: 0, firstSequence: 3 };

function recordOf(key: string, value: Uint8Array, headers?: Record<string, string>, timeMs = 1000): OutRecord {
  return { key, keyBytes: Buffer.byteLength(key), value, headers, timeMs };
}

async function batchOf(records: readonly OutRecord[], firstSeq = 0, codec = kafkaCodecs.none): Promise<Buffer> {
  const out = new KafkaWriter(16);
  await writeBatch(out, records, identity, codec);
  const batch = Buffer.from(out.buffer);
  // The broker's part: the position of the first record.
  batch.writeBigInt64BE(BigInt(firstSeq), 0);
  return batch;
}

describe('record batches', () => {
  for (const compression of ['none', 'zstd', 'gzip'] as const) {
    test(`any records come back as they went in: ${compression}`, async () => {
      const record = fc.record({
        key: fc.string({ unit: 'binary', maxLength: 50 }),
        value: fc.uint8Array({ maxLength: 300 }),
        headers: fc.option(
          fc.dictionary(fc.stringMatching(/^[a-z]{1,9}$/), fc.string({ unit: 'grapheme', maxLength: 40 }), {
            minKeys: 1,
          }),
          { nil: undefined },
        ),
        timeMs: fc.integer({ min: 1_600_000_000_000, max: 1_600_000_600_000 }),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 40 }), fc.nat(2 ** 31), async (some, firstSeq) => {
          const records = some.map(({ key, value, headers, timeMs }) => recordOf(key, value, headers, timeMs));
          const read = readRecords(await batchOf(records, firstSeq, kafkaCodecs[compression]), 0);
          assert.equal(read.next, firstSeq + records.length);
          assert.deepEqual(
            read.records.map(({ seq, key, value, headers, timeMs }) => [seq, key, [...value], { ...headers }, timeMs]),
            records.map(({ key, value, headers, timeMs }, n) => [
              firstSeq + n,
              key,
              [...value],
              { ...headers },
              timeMs,
            ]),
          );
        }),
        { numRuns: 50 },
      );
    });
  }

  test('records before the position asked for are left out', async () => {
    const records = ['a', 'b', 'c'].map((key) => recordOf(key, new Uint8Array(3)));
    const two = Buffer.concat([await batchOf(records, 10), await batchOf(records, 13)]);
    assert.deepEqual(
      readRecords(two, 12).records.map(({ seq }) => seq),
      [12, 13, 14, 15],
    );
    assert.deepEqual(
      readRecords(two, 13).records.map(({ seq }) => seq),
      [13, 14, 15],
    );
    assert.deepEqual(readRecords(two, 16), { records: [], next: 16 });
  });

  test('a last batch that is cut short anywhere is not there yet', async () => {
    const batch = await batchOf([recordOf('a', new Uint8Array(50))]);
    const whole = await batchOf([recordOf('b', new Uint8Array(50))], 1);
    for (let length = 0; length < whole.length; length++) {
      const { records, next } = readRecords(Buffer.concat([batch, whole.subarray(0, length)]), 0);
      assert.equal(records.length, 1);
      assert.equal(next, 1);
    }
    assert.deepEqual(readRecords(Buffer.alloc(0), 0), { records: [], next: undefined });
  });

  test('control batches of transactions are passed over, and counted', async () => {
    const control = await batchOf([recordOf('', new Uint8Array(4))], 5);
    control.writeInt16BE(0x20, 21);
    const { records, next } = readRecords(
      Buffer.concat([control, await batchOf([recordOf('a', new Uint8Array(1))], 6)]),
      0,
    );
    assert.deepEqual(
      records.map(({ seq }) => seq),
      [6],
    );
    assert.equal(next, 7);
  });

  test('a codec that cannot be read is named, and what would be right', async () => {
    const batch = await batchOf([recordOf('a', new Uint8Array(1))]);
    batch.writeInt16BE(3, 21);
    assert.throws(() => readRecords(batch, 0), /lz4.*none, gzip or zstd/);
  });

  test('the sum and the sequence number stand where Kafka looks for them', async () => {
    const batch = await batchOf([recordOf('key', Buffer.from('value'))]);
    assert.equal(batch.readInt32BE(8), batch.length - 12);
    assert.equal(batch.readInt8(16), 2);
    assert.equal(batch.readBigInt64BE(43), 7n);
    assert.equal(batch.readInt32BE(53), 3);
    assert.ok(batch.length > batchOverheadBytes);
  });
});
