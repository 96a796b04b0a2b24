import assert from 'node:assert/strict';
import { before, test } from 'node:test';

const standard = { encoder: TextEncoder, decoder: TextDecoder };
let ours: typeof standard;

before(async () => {
  const globals = globalThis as { TextEncoder?: typeof TextEncoder; TextDecoder?: typeof TextDecoder };
  delete globals.TextEncoder;
  delete globals.TextDecoder;
  try {
    await import('./text-encoding.ts');
    ours = { encoder: globals.TextEncoder!, decoder: globals.TextDecoder! };
  } finally {
    globals.TextEncoder = standard.encoder;
    globals.TextDecoder = standard.decoder;
  }
});

const texts = ['', 'plant1.a', 'ü€𝄞', '%41', 'half \ud800 pair', '\udc00', '\ufeff\u0000', 'x'.repeat(200)];

test('the encoder for k6 writes what the standard one writes', () => {
  const encoder = new ours.encoder();
  for (const text of texts)
    assert.deepEqual(encoder.encode(text), new standard.encoder().encode(text), JSON.stringify(text));
  const into = new Uint8Array(8);
  assert.deepEqual(encoder.encodeInto('ab€', into), { read: 3, written: 5 });
  assert.deepEqual([...into.subarray(0, 5)], [...new standard.encoder().encode('ab€')]);
});

test('the decoder for k6 reads what the standard one reads, and rejects what is not UTF-8', () => {
  const options = { fatal: true, ignoreBOM: true };
  const decoder = new ours.decoder('utf-8', options);
  for (const text of texts) {
    const bytes = new standard.encoder().encode(text);
    assert.equal(decoder.decode(bytes), new standard.decoder('utf-8', options).decode(bytes), JSON.stringify(text));
  }
  for (const bytes of [[0xff], [0xc3], [0xe2, 0x82], [0xc0, 0x80], [0xed, 0xa0, 0x80]])
    assert.throws(() => decoder.decode(Uint8Array.from(bytes)), TypeError, String(bytes));
  assert.equal(new ours.decoder().decode(Uint8Array.of(97, 0xff, 98)), 'a?b');
});
