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

test('several addresses of streams are separated by commas, and each of them is checked', () => {
  const { streamUrl } = load({ TAILRACE_STREAM_URL: 'ws://a:8081, wss://b.example' });
  assert.equal(streamUrl, 'ws://a:8081, wss://b.example');
  for (const text of ['ws://a:8081,http://b', 'ws://a:8081,b', 'wss://', 'ws://a ws://b'])
    assert.throws(() => load({ TAILRACE_STREAM_URL: text }), /streamUrl.*expected URLs with ws/, text);
});
