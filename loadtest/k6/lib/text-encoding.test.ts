import assert from 'node:assert/strict';
import { test } from 'node:test';

test('the encoder for k6 writes what the standard one writes', async () => {
  const standard = new TextEncoder();
  const globals = globalThis as { TextEncoder?: typeof TextEncoder };
  const known = globals.TextEncoder!;
  delete globals.TextEncoder;
  try {
    await import('./text-encoding.ts');
    const made = new globals.TextEncoder!();
    for (const text of ['', 'plant1.a', 'ü€𝄞', '%41', 'half \ud800 pair', '\udc00', '\ufeff\u0000'])
      assert.deepEqual(made.encode(text), standard.encode(text), JSON.stringify(text));
    const into = new Uint8Array(8);
    assert.deepEqual(made.encodeInto('ab€', into), { read: 3, written: 5 });
    assert.deepEqual([...into.subarray(0, 5)], [...standard.encode('ab€')]);
  } finally {
    globals.TextEncoder = known;
  }
});
