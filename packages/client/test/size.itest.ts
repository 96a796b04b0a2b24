import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { bundle } from './bundle.ts';

/**
 * Of a page, in bytes. 15.5 KB until loops that pause, move or reconnect in the middle of a snapshot or replay were
 * given all of it; above 16 KB something else has to go.
 */
const bytesMax = 16 * 1024;

/** Of what a page loads for it: minified, gzipped. */
async function sizeOf(entry: string, external: readonly string[] = []) {
  const { code, files } = await bundle(entry, external);
  return { bytes: gzipSync(code, { level: 9 }).length, files };
}

test('the whole client takes at most 16 KB of a page, and holds neither Protobuf nor React', async (t) => {
  const all = await sizeOf("export * from '@tailrace/client';");
  const stream = await sizeOf("export { createStream } from '@tailrace/client';");
  const hooks = await sizeOf("export * from '@tailrace/client/react';", ['react']);
  t.diagnostic(`everything: ${all.bytes} bytes; createStream: ${stream.bytes}; with the hooks: ${hooks.bytes}`);
  assert.ok(all.files.length > 20, `only ${all.files.length} files are in it`);
  assert.deepEqual(
    all.files.filter((file) => /protobufjs|generated|react|testing/.test(file)),
    [],
  );
  assert.ok(all.bytes <= bytesMax, `${all.bytes} bytes`);
  assert.ok(stream.bytes < all.bytes && hooks.bytes <= bytesMax);
});
