import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import { test } from 'node:test';
import { asksForWebSocket } from './http-upgrade.ts';

const headers: IncomingHttpHeaders = { host: 'x', connection: 'Upgrade', upgrade: 'websocket' };
const request = { method: 'GET', httpVersion: '1.1', headers };
const withHeaders = (more: IncomingHttpHeaders) => ({ ...request, headers: { ...headers, ...more } });

test('a GET of HTTP/1.1 with Upgrade: websocket asks for a WebSocket', () => {
  assert.equal(asksForWebSocket(request), true);
  assert.equal(asksForWebSocket(withHeaders({ upgrade: 'WebSocket' })), true);
  assert.equal(asksForWebSocket(withHeaders({ 'content-length': '0' })), true);
});

test('another method, version or protocol, a body, Expect, and no Host make it an ordinary request', () => {
  const others = [
    { ...request, method: 'POST' },
    { ...request, httpVersion: '1.0' },
    withHeaders({ upgrade: 'h2c' }),
    withHeaders({ upgrade: 'h2c, websocket' }),
    withHeaders({ upgrade: '' }),
    withHeaders({ 'content-length': '1' }),
    withHeaders({ 'transfer-encoding': 'chunked' }),
    withHeaders({ expect: '100-continue' }),
    { ...request, headers: { upgrade: 'websocket' } },
    { ...request, headers: { host: 'x' } },
  ];
  for (const other of others) assert.equal(asksForWebSocket(other), false, JSON.stringify(other));
});
