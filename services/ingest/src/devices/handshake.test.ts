import assert from 'node:assert/strict';
import { test } from 'node:test';
import { handshakeErrorOf, noUpgrade } from './handshake.ts';

const fields = {
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

function errorOf(changed: Readonly<Record<string, string>>, method?: string) {
  const headers: Readonly<Record<string, string>> = { ...fields, ...changed };
  return handshakeErrorOf({ path: '/v1/device', header: (name) => headers[name] ?? '' }, method);
}

test('a handshake of RFC 6455 has no error, with one or more subprotocols or none', () => {
  for (const protocols of ['', 'mqtt', 'tailrace.device.v1.json', 'a,b', 'a , b,\tc'])
    assert.equal(errorOf({ 'sec-websocket-protocol': protocols }), undefined, protocols);
  assert.equal(errorOf({ upgrade: 'WebSocket' }), undefined);
});

test('an invalid handshake has the status of its clause, and the field with the expected and the received value', () => {
  const cases = [
    [{}, 'POST', 405, 'expected GET /v1/device, got "POST /v1/device"'],
    [{ upgrade: '' }, 'GET', 426, 'GET /v1/device: expected "Upgrade: websocket", got none'],
    [{ upgrade: 'h2c' }, 'GET', 426, 'GET /v1/device: expected "Upgrade: websocket", got "h2c"'],
    [{ 'sec-websocket-version': '8' }, 'GET', 426, 'Sec-WebSocket-Version: expected 13, got "8"'],
    [{ 'sec-websocket-version': '' }, 'GET', 426, 'Sec-WebSocket-Version: expected 13, got none'],
    [{ 'sec-websocket-key': 'x' }, 'GET', 400, 'Sec-WebSocket-Key: expected 16 bytes in Base64, got "x"'],
    [{ 'sec-websocket-protocol': 'a b' }, 'GET', 400, 'Sec-WebSocket-Protocol: expected a list of tokens, got "a b"'],
    [{ 'sec-websocket-protocol': 'a,,b' }, 'GET', 400, 'Sec-WebSocket-Protocol: expected a list of tokens, got "a,,b"'],
  ] as const;
  for (const [changed, method, status, message] of cases)
    assert.deepEqual(errorOf(changed, method), { status, message });
});

test('a list of 16 KB that is no list of tokens is refused in milliseconds', () => {
  const startMs = performance.now();
  assert.equal(errorOf({ 'sec-websocket-protocol': `${'a,'.repeat(4_000)}${' \t'.repeat(4_000)}(` })?.status, 400);
  const passedMs = performance.now() - startMs;
  assert.ok(passedMs < 250, `${passedMs} ms`);
});

test('a request of another form has an error that names the forms', () => {
  assert.equal(noUpgrade('/v1/device').status, 426);
  assert.match(noUpgrade('/v1/device').message, /^GET \/v1\/device: expected HTTP\/1\.1 with "Connection: Upgrade"/);
});
