import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpointUrl } from './endpoint.ts';

test('a URL of a server in any form becomes the URL of its endpoint', () => {
  assert.equal(endpointUrl('ws://a:1', '/v1/stream'), 'ws://a:1/v1/stream');
  assert.equal(endpointUrl('https://a/', '/v1/stream'), 'wss://a/v1/stream');
  assert.equal(endpointUrl('wss://a/tailrace/', '/v1/ingest'), 'https://a/tailrace/v1/ingest');
  assert.equal(endpointUrl('http://a/v1/ingest', '/v1/ingest'), 'http://a/v1/ingest');
  assert.equal(endpointUrl('ws://a/v1/stream?shard=2', '/v1/stream'), 'ws://a/v1/stream?shard=2');
});

test('an invalid URL is rejected, and the error does not have its password', () => {
  for (const base of ['', 'localhost', 'localhost:8081', 'ftp://a', 'javascript:alert(1)', 'ws://']) {
    assert.throws(() => endpointUrl(base, '/v1/stream'), { code: 'invalid_config' }, base);
  }
  assert.throws(
    () => endpointUrl('ws://me:hunter2@a', '/v1/stream'),
    (error: Error) => !error.message.includes('hunter2') && error.message.includes('"a"'),
  );
});
