import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectOrigins, controlOrigins, securityHeaders } from './security-headers.ts';

test('without a stream address the page may connect to port 8081 of the host it came from', () => {
  const all = (host: string) => ['ws', 'wss', 'http', 'https'].map((scheme) => `${scheme}://${host}`);
  assert.deepEqual(connectOrigins('', 'plant.local:8080'), all('plant.local:8081'));
  assert.deepEqual(connectOrigins('', '[::1]:8080'), all('[::1]:8081'));
  const streams = ['ws://streams:9000', 'http://streams:9000'];
  assert.deepEqual(connectOrigins('ws://streams:9000/v1/stream', 'plant.local'), streams);
});

test('the page may connect to each of several stream addresses', () => {
  assert.deepEqual(connectOrigins('ws://a:8081, wss://b/x,ws://a:8081/y', 'plant.local'), [
    'ws://a:8081',
    'http://a:8081',
    'wss://b',
    'https://b',
  ]);
});

test('the page may connect to control where its URL or its port is known, and nowhere else', () => {
  assert.deepEqual(controlOrigins('https://control.example/api', 'plant.local'), ['https://control.example']);
  assert.deepEqual(controlOrigins('', 'plant.local:8080', 8083), [
    'http://plant.local:8083',
    'https://plant.local:8083',
  ]);
  assert.deepEqual(controlOrigins('', 'plant.local:8080'), []);
  assert.deepEqual(controlOrigins('', 'a; script-src *', 8083), []);
});

test('an invalid Host header cannot widen the policy', () => {
  for (const host of [
    undefined,
    '',
    'a; script-src *',
    'a b',
    "x'unsafe-inline'",
    'a/../b',
    `${'a'.repeat(300)}`,
    '*',
  ]) {
    assert.deepEqual(connectOrigins('', host), [], String(host));
  }
  assert.match(securityHeaders([])['content-security-policy'] ?? '', /connect-src 'self';/);
});
