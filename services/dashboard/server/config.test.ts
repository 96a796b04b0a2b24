import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '@tailrace/platform/config';
import { configSchema } from './config.ts';

const load = (env: Record<string, string>) => loadConfig(configSchema, { env, args: [] });

test('without settings it listens on 8080 and lets the page find the streams by itself', () => {
  const { port, streamUrl, demoToken } = load({});
  assert.deepEqual({ port, streamUrl, demoToken }, { port: 8080, streamUrl: '', demoToken: '' });
});

test('an address that is none of a stream is refused by name', () => {
  assert.throws(
    () => load({ TAILRACE_STREAM_URL: 'http://x', TAILRACE_PORT: '70000' }),
    /port[\s\S]*streamUrl|streamUrl[\s\S]*port/,
  );
});
