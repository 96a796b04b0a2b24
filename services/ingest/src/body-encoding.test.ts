import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync, deflateSync, gzipSync, constants as zlib } from 'node:zlib';
import { TailraceError } from '@tailrace/protocol/error';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import { encodingFrom, hasZlibHeader, Unpacker, unpackBody } from './body-encoding.ts';

const fails = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof TailraceError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

const mebibyte = 1_048_576;

test('gzip and deflate are known in any case; another encoding and a list of encodings are not', () => {
  for (const name of ['', ' ', 'identity', 'Identity']) assert.equal(encodingFrom(name), 'identity');
  for (const name of ['gzip', 'GZIP', ' x-gzip ']) assert.equal(encodingFrom(name), 'gzip');
  for (const name of ['deflate', 'Deflate']) assert.equal(encodingFrom(name), 'deflate');
  for (const name of ['br', 'zstd', 'gzip, gzip', 'identity, gzip', 'constructor'])
    assert.equal(encodingFrom(name), undefined, name);
});

test('a compressed body is decompressed', () => {
  assert.equal(unpackBody(gzipSync('[1]'), 'gzip', 100).toString(), '[1]');
});

test('deflate is read with and without the header of zlib, at every window size, level and strategy', () => {
  const { Z_DEFAULT_STRATEGY, Z_FIXED, Z_HUFFMAN_ONLY, Z_RLE } = zlib;
  const options = fc.record({
    windowBits: fc.integer({ min: 9, max: 15 }),
    level: fc.integer({ min: 0, max: 9 }),
    strategy: fc.constantFrom(Z_DEFAULT_STRATEGY, Z_FIXED, Z_HUFFMAN_ONLY, Z_RLE),
  });
  // Random bytes are stored, not compressed: then raw deflate has blocks of each kind.
  const texts = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 400 }).map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
  );
  fc.assert(
    fc.property(texts, options, (body, settings) => {
      const packed = deflateSync(body, settings);
      assert.ok(hasZlibHeader(packed[0]!, packed[1]!));
      assert.deepEqual(unpackBody(packed, 'deflate', 10_000), body);
      assert.deepEqual(unpackBody(deflateRawSync(body, settings), 'deflate', 10_000), body);
    }),
    fuzzed(400),
  );
});

test('raw deflate whose first byte is that of zlib is read as raw', () => {
  const text = Buffer.from('{"device":"a.b"}');
  // An uncompressed block whose padding is not zero, so that its first byte is 0x78; then the last block.
  const block = Buffer.from([0x78, text.length, 0, ~text.length & 0xff, 0xff]);
  const packed = Buffer.concat([block, text, deflateRawSync('')]);
  assert.equal(hasZlibHeader(packed[0]!, packed[1]!), false);
  assert.equal(unpackBody(packed, 'deflate', 100).toString(), text.toString());
});

test('a compressed body that exceeds the limit is refused, however small it was sent', () => {
  const zeros = Buffer.alloc(50_000_000);
  for (const [encoding, bomb] of [
    ['gzip', gzipSync(zeros)],
    ['deflate', deflateSync(zeros)],
    ['deflate', deflateRawSync(zeros)],
  ] as const) {
    assert.ok(bomb.length < 60_000);
    assert.throws(
      () => unpackBody(bomb, encoding, mebibyte),
      fails('too_large', /the unpacked body: expected at most 1048576 bytes, got more/),
    );
  }
});

test('a body that is not compressed as its content encoding declares is refused', () => {
  for (const body of ['[1]', '', 'x', 'x\x9c']) {
    assert.throws(
      () => unpackBody(Buffer.from(body, 'latin1'), 'gzip', 100),
      fails('invalid_report', /expected gzip \(RFC 1952\), its content encoding, got "/),
    );
    assert.throws(
      () => unpackBody(Buffer.from(body, 'latin1'), 'deflate', 100),
      fails('invalid_report', /expected deflate \(zlib, RFC 1950, or raw, RFC 1951\), its content encoding, got "/),
    );
  }
  const encodings = [
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['deflate', deflateRawSync],
  ] as const;
  for (const [encoding, pack] of encodings) {
    const packed = pack('[1]');
    for (let length = 0; length < packed.length; length++)
      assert.throws(() => unpackBody(packed.subarray(0, length), encoding, 100), fails('invalid_report', /, got "/));
  }
});

test('random and changed bytes are unpacked or refused, and never throw another error', () => {
  const bodies = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.tuple(fc.constantFrom(gzipSync, deflateSync, deflateRawSync), fc.nat(), fc.nat(255)).map(([pack, at, byte]) => {
      const packed = pack('{"device":"a.b","readings":[{"tag":"t","value":1}]}'.repeat(4));
      packed[at % packed.length] = byte;
      return packed;
    }),
  );
  fc.assert(
    fc.property(bodies, fc.constantFrom('gzip' as const, 'deflate' as const), (bytes, encoding) => {
      try {
        assert.ok(unpackBody(Buffer.from(bytes), encoding, 1_000).length <= 1_000);
      } catch (error) {
        assert.ok(error instanceof TailraceError && /^(invalid_report|too_large)$/.test(error.code), String(error));
      }
    }),
    fuzzed(1_000),
  );
});

/** Unpacks parts as a stream does. Resolves with what was unpacked, and the error. */
async function unpackedOf(encoding: 'gzip' | 'deflate', parts: readonly Buffer[]) {
  const unpacked: Buffer[] = [];
  const { promise, resolve } = Promise.withResolvers<TailraceError | undefined>();
  let drained = () => {};
  const unpacker = new Unpacker(encoding, {
    unpacked: (bytes) => void unpacked.push(Buffer.from(bytes)),
    unpackedAll: () => resolve(undefined),
    unpackFailed: resolve,
    unpackerDrained: () => drained(),
  });
  for (const part of parts) {
    unpacker.write(part);
    if (unpacker.isFull) {
      const space = Promise.withResolvers<void>();
      drained = space.resolve;
      await Promise.race([space.promise, promise]);
    }
  }
  unpacker.end();
  const error = await promise;
  unpacker.close();
  return { text: Buffer.concat(unpacked).toString(), error };
}

const encoders = [
  ['gzip', gzipSync],
  ['deflate', deflateSync],
  ['deflate', deflateRawSync],
] as const;

test('a stream is unpacked wherever it is divided', async () => {
  const text = '{"device":"a.b"}\n'.repeat(3);
  for (const [encoding, pack] of encoders) {
    const packed = pack(text);
    for (let at = 0; at <= packed.length; at++) {
      const found = await unpackedOf(encoding, [packed.subarray(0, at), packed.subarray(at)]);
      assert.deepEqual(found, { text, error: undefined }, `${encoding} at ${at}`);
    }
    const bytes = [...packed].map((byte) => Buffer.of(byte));
    assert.deepEqual(await unpackedOf(encoding, bytes), { text, error: undefined });
  }
  const members = Buffer.concat([gzipSync('one'), gzipSync('two')]);
  assert.equal((await unpackedOf('gzip', [members])).text, 'onetwo');
});

test('a stream that stops early, or is not of its encoding, fails, and what was unpacked before is passed on', async () => {
  const text = '0123456789'.repeat(50_000);
  for (const [encoding, pack] of encoders) {
    const packed = pack(text);
    const short = await unpackedOf(encoding, [packed.subarray(0, -1)]);
    assert.equal(short.error?.code, 'invalid_report');
    assert.match(short.error?.message ?? '', /^the body: expected (gzip|deflate) .*, its content encoding, got "/);
    assert.ok(text.startsWith(short.text) && short.text.length > 100_000, `${short.text.length}`);
  }
  for (const [encoding] of encoders) {
    assert.equal((await unpackedOf(encoding, [])).error?.code, 'invalid_report');
    assert.equal((await unpackedOf(encoding, [Buffer.from('x')])).error?.code, 'invalid_report');
    assert.equal((await unpackedOf(encoding, [Buffer.from('{"device":"a.b"}')])).error?.code, 'invalid_report');
  }
});

test('what follows the packed data is ignored, however much it is', async () => {
  const more = Array.from({ length: 40 }, () => Buffer.alloc(65_536));
  for (const [encoding, pack] of encoders)
    assert.deepEqual(await unpackedOf(encoding, [pack('text'), ...more]), { text: 'text', error: undefined });
});
