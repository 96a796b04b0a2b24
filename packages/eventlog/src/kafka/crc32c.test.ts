import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from './crc32c.ts';

test('the checksums equal those of RFC 3720, appendix B.4', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, n) => n)), 0x46dd794e);
  assert.equal(crc32c(new Uint8Array(0)), 0);
});

test('the checksum of a range does not depend on the bytes around it', () => {
  const bytes = Uint8Array.from({ length: 64 }, (_, n) => (n * 37) & 0xff);
  for (let from = 0; from < 10; from++) {
    for (let until = from; until <= 64; until++)
      assert.equal(crc32c(bytes, from, until), crc32c(bytes.slice(from, until)));
  }
});
