import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { bundle } from './bundle.ts';

/**
 * Limit in bytes. It was 15.5 KB before loops could pause, move or reconnect in the middle of a snapshot or replay, and
 * 16 KB before it could read alarms and states of commands.
 */
const bytesMax = 18 * 1024;

/** Returns the size of the bundle, minified and gzipped. */
async function sizeOf(entry: string, external: readonly string[] = []) {
  const { code, files } = await bundle(entry, external);
  return { bytes: gzipSync(code, { level: 9 }).length, files };
}

test('the whole client has at most 18 KB, and neither Protobuf nor React', async (t) => {
  const all = await sizeOf("export * from '@tailrace/client';");
  const stream = await sizeOf("export { createStream } from '@tailrace/client';");
  const hooks = await sizeOf("export * from '@tailrace/client/react';", ['react']);
  t.diagnostic(`everything: ${all.bytes} bytes; createStream: ${stream.bytes}; with the hooks: ${hooks.bytes}`);
  assert.ok(all.files.length > 20, `expected more than 20 files, got ${all.files.length}`);
  assert.deepEqual(
    all.files.filter((file) => /protobufjs|generated|react|testing/.test(file)),
    [],
  );
  assert.ok(all.bytes <= bytesMax, `${all.bytes} bytes`);
  assert.ok(stream.bytes < all.bytes && hooks.bytes <= bytesMax);
});
