import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import type { Claims } from '@tailrace/platform/token';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { EndpointMetrics } from '../endpoint-metrics.ts';
import { MemoryTransport } from '../memory-transport.ts';
import { deviceTokenRoutes } from './device-token-endpoints.ts';
import type { DeviceTokens } from './device-tokens.ts';

/** The endpoints on a transport in memory; the calls that reach the tokens are recorded. */
async function fixture() {
  const clock = createFakeClock({ nowMs: 1_700_000_000_000 });
  const calls: unknown[][] = [];
  const deviceTokens: Pick<DeviceTokens, 'issue' | 'list' | 'revoke'> = {
    async issue(...request) {
      calls.push(['issue', ...request]);
      return { id: 'id', token: 'tr1_id_secret', device: request[0].device, publish: [] };
    },
    list(...request) {
      calls.push(['list', ...request]);
      return { credentials: [] };
    },
    async revoke(...request) {
      calls.push(['revoke', ...request]);
    },
  };
  const operator: Claims = { subject: 'anna', roles: ['operator'], publish: [], subscribe: [] };
  const metrics = createMetrics({ service: 'fanout', node: 'n', processMetrics: false });
  const routes = deviceTokenRoutes({
    deviceTokens: deviceTokens as DeviceTokens,
    async verify(token) {
      if (token === 'operator') return operator;
      if (token === 'viewer') return { ...operator, roles: [] };
      throw new TailraceError('unauthorized', 'the token is unknown');
    },
    clock,
    logger: silentLogger,
    endpoints: new EndpointMetrics(metrics, clock),
  });
  const transport = new MemoryTransport({ socketBytesMax: 1_000 });
  const none = () => assert.fail('no WebSocket');
  await transport.listen({
    path: '/v1/stream',
    routes,
    otherwise: () => ({ status: 404, headers: [], body: '' }),
    handshake: none,
    opened: none,
    message: none,
    heartbeat: none,
    dropped: none,
    drained: none,
    closed: none,
  });
  const send = async (method: string, target: string, body?: string, token = 'operator') => {
    const headers = { authorization: `Bearer ${token}` };
    const answer = await transport.fetch({ method, target, headers, ...(body === undefined ? {} : { body }) });
    return { ...answer, json: answer.body === '' ? undefined : JSON.parse(answer.body as string) };
  };
  return { clock, calls, operator, send, metrics };
}

test('a request for a token is passed on with its defaults, and no cache may store the answer', async () => {
  const { clock, calls, operator, send } = await fixture();
  const answer = await send('POST', '/v1/credentials', '{"device":"plant1.a"}');
  assert.equal(answer.status, 201);
  assert.equal(answer.json.token, 'tr1_id_secret');
  assert.ok(answer.headers.some(([name, value]) => name === 'cache-control' && value === 'no-store'));
  const full = { device: 'plant1.a', gateway: true, expiresInMs: 1_000, label: 'hall' };
  await send('POST', '/v1/credentials', JSON.stringify(full));
  await send('POST', '/v1/credentials', '{"device":"plant1.a","expiresAt":null}');
  assert.deepEqual(calls, [
    ['issue', { device: 'plant1.a', isGateway: false, expiresAt: undefined, label: '' }, operator],
    ['issue', { device: 'plant1.a', isGateway: true, expiresAt: clock.now() + 1_000, label: 'hall' }, operator],
    ['issue', { device: 'plant1.a', isGateway: false, expiresAt: null, label: '' }, operator],
  ]);
});

test('a body that is not understood is refused whole', async () => {
  const { calls, send } = await fixture();
  for (const [body, message] of [
    ['hello', /body: expected a JSON object/],
    ['{}', /device: expected a text, got undefined/],
    ['{"device":"a","gateway":"yes"}', /gateway: expected true or false, got "yes"/],
    ['{"device":"a","expires":1}', /got the unknown field "expires"/],
    ['{"device":"a","expiresAt":1,"expiresInMs":1}', /expected expiresAt or expiresInMs, got both/],
    ['{"device":"a","expiresInMs":0}', /expiresInMs: expected a time in ms above 0, got 0/],
    ['{"device":"a","expiresAt":"1"}', /expiresAt: expected a time in epoch ms, got "1"/],
  ] as const) {
    const { status, json } = await send('POST', '/v1/credentials', body);
    assert.equal(status, 400, body);
    assert.match(json.error.message, message);
  }
  assert.deepEqual(calls, []);
});

test('a list has a pattern, a start and a limit, and a deletion the ID of the path', async () => {
  const { calls, operator, send } = await fixture();
  await send('GET', '/v1/credentials');
  await send('GET', '/v1/credentials?channel=plant1.%3E&after=abc&limit=7');
  assert.deepEqual((await send('DELETE', '/v1/credentials/abc')).json, { id: 'abc' });
  assert.deepEqual(calls, [
    ['list', '>', '', 500, operator],
    ['list', 'plant1.>', 'abc', 7, operator],
    ['revoke', 'abc', operator],
  ]);
  for (const query of ['limit=0', 'limit=501', 'limit=x', 'channel=a..b'])
    assert.equal((await send('GET', `/v1/credentials?${query}`)).status, 400, query);
  assert.equal((await send('DELETE', '/v1/credentials')).status, 404);
  assert.equal((await send('DELETE', '/v1/credentials/a/b')).status, 404);
});

test('only operators are served', async () => {
  const { calls, send, metrics } = await fixture();
  for (const [method, target] of [
    ['POST', '/v1/credentials'],
    ['GET', '/v1/credentials'],
    ['DELETE', '/v1/credentials/abc'],
  ] as const) {
    assert.equal((await send(method, target, '{"device":"a"}', 'viewer')).status, 403);
    assert.equal((await send(method, target, '{"device":"a"}', 'unknown')).status, 401);
  }
  assert.deepEqual(calls, []);
  assert.match(await metrics.text(), /requests_total\{.*endpoint="credentials",code="forbidden".*\} 3\n/);
});
