import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { compressFrameSync } from 'lz4-napi';
import { compressSync as snappySync } from 'snappy';
import { recordEnd } from '../event-log.ts';
import { KafkaWriter } from './bytes.ts';
import { decompress, kafkaCodecs } from './codecs.ts';
import { crc32c } from './crc32c.ts';
import { batchOverheadBytes, type ProducerRecord, readRecords, writeBatch } from './records.ts';

const identity = { producerId: 7, producerEpoch: 0, firstSequence: 3 };

function recordOf(key: string, value: Uint8Array, headers?: Record<string, string>, timeMs = 1000): ProducerRecord {
  return { key, keyBytes: Buffer.byteLength(key), value, headers, timeMs };
}

async function batchOf(records: readonly ProducerRecord[], firstSeq = 0, codec = kafkaCodecs.none): Promise<Buffer> {
  const out = new KafkaWriter(16);
  await writeBatch(out, records, identity, codec);
  const batch = Buffer.from(out.buffer);
  // The broker assigns the position of the first record.
  batch.writeBigInt64BE(BigInt(firstSeq), 0);
  return batch;
}

/** Writes the checksum as a producer does. */
function sum(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch, 21), 17);
  return batch;
}

function withCodec(batch: Buffer, attribute: number): Buffer {
  batch.writeInt16BE(attribute, 21);
  return batch;
}

function withCount(batch: Buffer, count: number): Buffer {
  batch.writeInt32BE(count, 57);
  return batch;
}

function flipped(batch: Buffer, at: number): Buffer {
  batch[at] = batch[at]! ^ 0x41;
  return batch;
}

type Pack = (bytes: Buffer) => Uint8Array;

/** Returns the batch as a producer with this codec writes it. */
function compressed(batch: Buffer, attribute: number, pack: Pack): Buffer {
  const made = Buffer.concat([batch.subarray(0, batchOverheadBytes), pack(batch.subarray(batchOverheadBytes))]);
  made.writeInt32BE(made.length - 12, 8);
  return sum(withCodec(made, attribute));
}

/** The format of snappy-java: a header, then blocks of 32 KB. */
function xerial(bytes: Buffer): Buffer {
  const blocks: Uint8Array[] = [Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])];
  for (let at = 0; at < bytes.length; at += 32_768) {
    const block = snappySync(bytes.subarray(at, at + 32_768)) as Buffer;
    const length = Buffer.alloc(4);
    length.writeInt32BE(block.length);
    blocks.push(length, block);
  }
  return Buffer.concat(blocks);
}

const foreignCodecs: readonly (readonly [string, number, Pack])[] = [
  ['gzip', 1, (bytes) => gzipSync(bytes)],
  ['snappy, raw', 2, (bytes) => snappySync(bytes) as Buffer],
  ['snappy in blocks', 2, xerial],
  ['lz4', 3, (bytes) => compressFrameSync(bytes)],
  ['lz4 with sums', 3, (bytes) => compressFrameSync(bytes, { contentChecksum: true, blockChecksums: true })],
  ['zstd', 4, (bytes) => zstdCompressSync(bytes)],
];

describe('record batches', () => {
  for (const compression of ['none', 'zstd', 'gzip'] as const) {
    test(`any records are read as they were written: ${compression}`, async () => {
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

  test('records before the requested position are skipped', async () => {
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
    assert.deepEqual(readRecords(two, 16), { records: [], next: 16, bytes: 0, unreadable: 0 });
  });

  test('a truncated last batch is not read', async () => {
    const batch = await batchOf([recordOf('a', new Uint8Array(50))]);
    const whole = await batchOf([recordOf('b', new Uint8Array(50))], 1);
    for (let length = 0; length < whole.length; length++) {
      const { records, next } = readRecords(Buffer.concat([batch, whole.subarray(0, length)]), 0);
      assert.equal(records.length, 1);
      assert.equal(next, 1);
    }
    assert.deepEqual(readRecords(Buffer.alloc(0), 0), { records: [], next: undefined, bytes: 0, unreadable: 0 });
  });

  test('control batches of transactions are positions without records', async () => {
    const control = await batchOf([recordOf('', new Uint8Array(4))], 5);
    control.writeInt16BE(0x20, 21);
    sum(control);
    const { records, next } = readRecords(
      Buffer.concat([control, await batchOf([recordOf('a', new Uint8Array(1))], 6)]),
      0,
    );
    assert.deepEqual(
      records.map(({ seq, key, emptyUntil }) => [seq, key, emptyUntil]),
      [
        [5, '', 6],
        [6, 'a', undefined],
      ],
    );
    assert.equal(next, 7);
  });

  for (const [name, attribute, pack] of foreignCodecs) {
    test(`batches that another producer compresses by ${name} are read`, async () => {
      const records = Array.from({ length: 200 }, (_, n) => recordOf(`plant1.press${n}`, Buffer.alloc(n, n)));
      const batch = compressed(await batchOf(records, 7), attribute, pack);
      const { records: read, next, unreadable } = readRecords(batch, 0);
      assert.equal(unreadable, 0);
      assert.equal(next, 207);
      assert.deepEqual(
        read.map(({ seq, key, value }) => [seq, key, value.length]),
        records.map(({ key, value }, n) => [7 + n, key, value.length]),
      );
    });
  }

  test('a batch that cannot be read is a gap with a reason; those before and after it are read', async () => {
    const some = (keys: string) => [...keys].map((key) => recordOf(key, Buffer.from(key)));
    const corruptions: Record<string, (batch: Buffer) => Buffer> = {
      'codec: expected codec 0 to 4': (batch) => sum(withCodec(batch, 5)),
      'malformed: expected 27 bytes of lz4': (batch) => sum(withCodec(batch, 3)),
      'malformed: expected 27 bytes of snappy': (batch) => sum(withCodec(batch, 2)),
      'malformed: expected 27 bytes of gzip': (batch) => sum(withCodec(batch, 1)),
      'malformed: expected 27 bytes of zstd': (batch) => sum(withCodec(batch, 4)),
      'checksum: CRC-32C: expected': (batch) => flipped(batch, batch.length - 2),
      'malformed: expected a record batch of format 2': (batch) => flipped(batch, 16),
      'malformed: expected 3 records': (batch) => sum(withCount(batch, 4)),
    };
    for (const [name, corrupt] of Object.entries(corruptions)) {
      const corrupted = corrupt(await batchOf(some('def'), 3));
      const { records, next, unreadable } = readRecords(
        Buffer.concat([await batchOf(some('abc'), 0), corrupted, await batchOf(some('gh'), 6)]),
        1,
        { end: 8 },
      );
      assert.equal(next, 8, name);
      assert.equal(unreadable, 1, name);
      const readable = records.filter((record) => record.unreadable === undefined);
      const gap = records.find((record) => record.unreadable !== undefined)!;
      assert.deepEqual(
        readable
          .map(({ key }) => key)
          .join('')
          .replace('def', ''),
        'bcgh',
        name,
      );
      const { reason, until, message } = gap.unreadable!;
      assert.equal(until, 6, name);
      assert.ok(gap.seq === 3 || readable.some(({ seq }) => seq === gap.seq - 1), name);
      assert.ok(`${reason}: ${message}`.startsWith(name.replace('3 records', '4 records')), `${reason}: ${message}`);
    }
  });

  test('the end of a damaged batch counts if the next one agrees, or its fields are consistent; else one position is skipped at a time', async () => {
    const some = (count: number) => Array.from({ length: count }, () => recordOf('a', new Uint8Array(5)));
    const corrupted = flipped(await batchOf(some(10), 20), 70);
    assert.equal(readRecords(corrupted, 20, { end: 30 }).next, 30, 'its own fields');
    const inconsistent = Buffer.from(corrupted);
    inconsistent.writeInt32BE(500_000, 23);
    assert.equal(readRecords(Buffer.concat([inconsistent, await batchOf(some(1), 30)]), 20, { end: 31 }).next, 31, 'the next');
    assert.equal(readRecords(inconsistent, 20, { end: 600_000 }).next, 21);
    assert.equal(readRecords(inconsistent, 21, { end: 600_000 }).next, 22);
    inconsistent.writeBigInt64BE(-5n, 0);
    assert.equal(readRecords(inconsistent, 22, { end: 600_000 }).next, 23);
  });

  test('a batch that decompresses to more than the limit is not decompressed', async () => {
    const zeros = Buffer.alloc(8 * 1_048_576);
    for (const [name, attribute, pack] of foreignCodecs) {
      const { reason } = decompress(attribute, Buffer.from(pack(zeros)), 1_048_576) as { reason: string };
      assert.equal(reason, 'too_large', name);
      const whole = decompress(attribute, Buffer.from(pack(zeros)), zeros.length);
      assert.equal((whole as { bytes: Buffer }).bytes?.length, zeros.length, name);
    }
  });

  test('batches beyond the limit of decompressed bytes are left for the next response', async () => {
    const large = compressed(await batchOf([recordOf('a', new Uint8Array(100_000))], 0), 4, zstdCompressSync);
    const more = compressed(await batchOf([recordOf('b', new Uint8Array(100_000))], 1), 4, zstdCompressSync);
    const answer = Buffer.concat([large, more]);
    const first = readRecords(answer, 0, { bytesMax: 50_000 });
    assert.deepEqual([first.records.length, first.next], [1, 1]);
    assert.ok(first.bytes > 100_000);
    assert.deepEqual(readRecords(answer, 0, { bytesMax: 0 }), {
      records: [],
      next: undefined,
      bytes: 0,
      unreadable: 0,
    });
  });

  test('reading any bytes never throws, makes progress, and returns no position twice', async () => {
    const batches = await Promise.all(
      [kafkaCodecs.none, kafkaCodecs.zstd].map((codec) =>
        batchOf([recordOf('a', new Uint8Array(20)), recordOf('b', new Uint8Array(3), { h: 'v' })], 5, codec),
      ),
    );
    const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(fc.constantFrom(...batches), damage, fc.boolean(), (batch, changes, isSummed) => {
        const bytes = Buffer.concat([batch, batch]);
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        if (isSummed) sum(bytes.subarray(0, batch.length));
        const { records, next } = readRecords(bytes, 5, { end: 1_000 });
        let done = 5;
        for (const record of records) {
          assert.ok(record.seq >= done, `${record.seq} after ${done}`);
          done = recordEnd(record);
        }
        if (next !== undefined && records.length > 0) assert.ok(next >= done);
      }),
      { numRuns: 2_000, seed: 1 },
    );
  });

  test('the checksum and the sequence number are at the offsets of the format', async () => {
    const batch = await batchOf([recordOf('key', Buffer.from('value'))]);
    assert.equal(batch.readInt32BE(8), batch.length - 12);
    assert.equal(batch.readInt8(16), 2);
    assert.equal(batch.readBigInt64BE(43), 7n);
    assert.equal(batch.readInt32BE(53), 3);
    assert.ok(batch.length > batchOverheadBytes);
  });
});
