import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { issueToken } from '@tailrace/platform/token';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { connectRaw, exchange } from '@tailrace/testkit/raw-socket';
import type { RawWebSocket } from '@tailrace/testkit/raw-websocket';
import { startNode, type TestNode, tokenSecret } from './node.ts';
import { refusal, welcomed } from './stream-client.ts';

failOnLeaks();

let node: TestNode;
before(async () => {
  node = await startNode({
    userConnectionsMax: 3,
    userSubscriptionsMax: 4,
    addressConnectionsMax: 6,
    addressHandshakesPerSecondMax: 500,
    messagesPerSecondMax: 5,
    subscriptionsMax: 10,
    origins: ['https://dashboard.example'],
    trustedProxies: ['127.0.0.0/8'],
    expiryWarningMs: 60_000,
    tokenClockToleranceMs: 0,
  });
});
after(() => node.stop());

const issue = (
  subject: string,
  facts: { tokenId?: string; roles?: string[]; tenant?: string; expiresInMs?: number } = {},
) => issueToken({ secret: tokenSecret, subject, publish: [], subscribe: [], expiresInMs: 3_600_000, ...facts });

async function connect(token: string, headers: Record<string, string> = {}): Promise<RawWebSocket> {
  const ws = await node.connect({ path: `/v1/stream?token=${token}`, headers });
  assert.ok('welcome' in ((await ws.nextJson()) as object));
  return ws;
}

async function close(...sockets: RawWebSocket[]): Promise<void> {
  for (const ws of sockets) ws.close();
  await Promise.all(sockets.map(({ closed }) => closed));
  await eventually(async () => assert.equal(await node.metric('tailrace_fanout_connections'), 0));
}

/** Returns the response to a handshake, or to any request. */
async function request(method: string, path: string, headers: Record<string, string> = {}, body: string | Buffer = '') {
  const socket = await connectRaw({ port: node.port });
  const lines = Object.entries({ Host: 'x', 'Content-Length': `${body.length}`, ...headers });
  if (method === 'GET') lines.splice(1, 1);
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const lead = Buffer.from(`${method} ${path} HTTP/1.1\r\n${head}\r\n`);
  const answer = await exchange(socket, Buffer.concat([lead, Buffer.from(body)]));
  socket.close();
  return { status: answer.status, headers: answer.headers, json: JSON.parse(answer.body) };
}

const handshake = (headers: Record<string, string>) =>
  request('GET', '/v1/stream', {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...headers,
  });

test('an origin that is not listed is refused with 403; a listed origin and a client without one are accepted', async () => {
  const { status, json } = await handshake({ Origin: 'https://evil.example' });
  assert.deepEqual([status, json.error.code], [403, 'forbidden']);
  await close(await connect(node.token, { Origin: 'https://dashboard.example' }), await connect(node.token));
});

test('beyond the connections of an address a handshake gets 429 with Retry-After; another address behind the proxy does not', async () => {
  const headers = { 'X-Forwarded-For': '198.51.100.1' };
  const clients = [];
  for (let i = 0; i < 6; i++) clients.push(await connect(await issue(`user${i}`), headers));
  const { status, headers: answered, json } = await handshake(headers);
  assert.deepEqual([status, answered['retry-after'], json.error.code], [429, '1', 'limit_reached']);
  assert.match(json.error.message, /expected at most 6 connections of "198\.51\.100\.1", got one more/);
  const spoofed = await handshake({ 'X-Forwarded-For': '203.0.113.1, 198.51.100.1' });
  assert.equal(spoofed.status, 429, 'addresses before the first untrusted one are ignored');
  clients.push(await connect(node.token, { 'X-Forwarded-For': '198.51.100.2' }));
  assert.equal(await node.metric('tailrace_fanout_address_connections'), 6);
  await close(...clients);
  await close(await connect(node.token, headers));
});

test('beyond the connections of a user a connection gets an error and is closed with 1013', async () => {
  const token = await issue('anna');
  const clients = [await connect(token), await connect(token), await connect(token)];
  const ws = await node.connect({ path: `/v1/stream?token=${token}` });
  const { error, close: code } = await refusal(ws);
  assert.deepEqual([error.code, code], ['limit_reached', 1013]);
  assert.match(error.message, /expected at most 3 connections of "anna", got one more/);
  await close(...clients);
});

test('many tokens, and other spellings of one, get a user no more connections; the same subject in a tenant is another user', async () => {
  const tokens = await Promise.all(Array.from({ length: 100 }, (_, n) => issue('anna', { tokenId: `id-${n}` })));
  const clients = [await connect(tokens[0]!), await connect(tokens[1]!), await connect(tokens[2]!)];
  for (const [n, token] of tokens.slice(3).entries()) {
    // Each from an address of its own, so that no limit of addresses is met first.
    const headers = { 'X-Forwarded-For': `192.0.2.${n}` };
    const ws = await node.connect({ path: `/v1/stream?token=${token}`, headers });
    const { error, close: code } = await refusal(ws);
    assert.deepEqual([error.code, code], ['limit_reached', 1013]);
  }
  // HS256 has 32 bytes: the last of 43 characters carries two bits that belong to none.
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const [token] = tokens as [string];
  const first = alphabet.indexOf(token.at(-1)!);
  for (const last of alphabet.slice(first + 1, first + 4)) {
    const { error, close: code } = await refusal(
      await node.connect({ path: `/v1/stream?token=${token.slice(0, -1)}${last}` }),
    );
    assert.deepEqual([error.code, code], ['unauthorized', 4401]);
    assert.match(error.message, /canonical base64url/);
  }
  clients.push(await connect(await issue('anna', { tenant: 'plant1' })));
  await close(...clients);
});

test('subscriptions of a user are counted over all their connections', async () => {
  const [one, other] = [await welcomed(node), await welcomed(node)];
  for (const ws of [one, other]) {
    for (const id of ['a', 'b']) ws.sendText(JSON.stringify({ subscribe: { id, channel: `p.${id}` } }));
    await ws.nextJson();
    await ws.nextJson();
  }
  one.sendText('{"subscribe":{"id":"c","channel":"p.c"}}');
  const { error } = (await one.nextJson()) as { error: { id: string; code: string } };
  assert.deepEqual([error.id, error.code], ['c', 'limit_reached']);
  await close(one, other);
});

for (const [what, send] of [
  ['messages', (ws: RawWebSocket) => ws.sendText('{"ping":{"t":1}}')],
  ['pings', (ws: RawWebSocket) => ws.ping('x')],
  ['unsolicited pongs', (ws: RawWebSocket) => ws.pong('x')],
] as const) {
  test(`a flood of ${what} gets an error and 4429`, async () => {
    const ws = await welcomed(node);
    // Twice (5 a second + 10 subscriptions) at once.
    for (let i = 0; i < 1_000; i++) send(ws);
    assert.deepEqual(await ws.closed, { code: 4429, reason: 'too many messages' });
    const messages = ws.frames
      .filter(({ opcode }) => opcode === 1)
      .map(({ payload }) => JSON.parse(payload.toString()));
    assert.match(messages.at(-1).error.message, /expected at most 5 messages a second, and 30 at once/);
    assert.ok(messages.length <= 33, `${messages.length} were answered`);
    await close();
  });
}

test('a client can make the maximum of subscriptions right after its welcome', async () => {
  const generous = await startNode({ connectionsMax: 2 });
  try {
    const ws = await welcomed(generous);
    for (let i = 0; i < 1_000; i++) ws.sendText(JSON.stringify({ subscribe: { id: `${i}`, channel: `p.d${i}` } }));
    for (let i = 0; i < 1_000; i++) assert.ok('subscribed' in ((await ws.nextJson()) as object));
    ws.close();
    await ws.closed;
  } finally {
    await generous.stop();
  }
});

test('the client of a token that expires soon is warned at once, and disconnected with 4401 at its expiry', async () => {
  const ws = await connect(await issue('anna', { expiresInMs: 1_000 }));
  const { expiring } = (await ws.nextJson()) as { expiring: { inMs: number } };
  assert.ok(expiring.inMs > 0 && expiring.inMs <= 2_000, `${expiring.inMs} ms`);
  const startMs = performance.now();
  assert.equal((await ws.closed).code, 4401);
  const lateMs = performance.now() - startMs - expiring.inMs;
  assert.ok(lateMs > -50 && lateMs < 1_500, `${lateMs} ms late`);
  await close();
});

const operator = () => issue('operator', { roles: ['operator'] });
const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

test('a revoked token is closed with 4401 within a second and refused from then on; others of its subject are not', async () => {
  const [revoked, kept] = [await issue('anna', { tokenId: 't1' }), await issue('anna', { tokenId: 't2' })];
  const [one, other] = [await connect(revoked), await connect(kept)];
  const answer = await request('POST', '/v1/revocations', bearer(await operator()), '{"tokenId":"t1"}');
  assert.deepEqual([answer.status, answer.json], [202, { nodes: 1 }]);
  assert.match((await refusal(one)).error.message, /the token was revoked; get a new one/);
  assert.equal((await one.closed).code, 4401);
  const again = await node.connect({ path: `/v1/stream?token=${revoked}` });
  const { error, close: code } = await refusal(again);
  assert.match(error.message, /was revoked; get a new one/);
  assert.equal(code, 4401);
  other.sendText('{"ping":{"t":1}}');
  assert.ok('pong' in ((await other.nextJson()) as object));
  const list = await request('GET', '/v1/revocations', bearer(await operator()));
  assert.deepEqual(list.json, { revocations: [{ tokenId: 't1' }] });
  const issuedBefore = Date.now() + 1_000;
  await request('POST', '/v1/revocations', bearer(await operator()), JSON.stringify({ subject: 'anna', issuedBefore }));
  assert.equal((await other.closed).code, 4401);
  await close();
  assert.equal(await node.metric('tailrace_fanout_revoked_clients_total'), 2);
});

test('a notice of an operator reaches every client', async () => {
  const clients = [await welcomed(node), await welcomed(node)];
  const body = '{"severity":"warning","message":"the line stops at noon"}';
  assert.equal((await request('POST', '/v1/notice', bearer(await operator()), body)).status, 202);
  for (const ws of clients) {
    const { notice } = (await ws.nextJson()) as { notice: { severity: string; message: string; time: number } };
    assert.deepEqual([notice.severity, notice.message], ['warning', 'the line stops at noon']);
    assert.ok(Math.abs(notice.time - Date.now()) < 10_000);
  }
  await close(...clients);
});

test('operator endpoints accept operators of all tenants only, and validate the body', async () => {
  const path = '/v1/revocations';
  const good = '{"tokenId":"t9"}';
  const own = bearer(await operator());
  const cases: readonly (readonly [headers: Record<string, string>, body: string, status: number, message: RegExp])[] =
    [
      [{}, good, 401, /expected the header Authorization: Bearer <token>, got none/],
      [bearer('x.y.z'), good, 401, /malformed|algorithm|header/],
      [
        bearer(await issue('ben', { roles: ['viewer'] })),
        good,
        403,
        /expected a token with the role "operator", got the roles \["viewer"\]/,
      ],
      [
        bearer(await issue('ben', { roles: ['operator'], tenant: 'p' })),
        good,
        403,
        /expected a token without a tenant, got the tenant "p"/,
      ],
      [own, 'hello', 400, /body: expected a JSON object, got "hello"/],
      [own, '{}', 400, /expected \{"tokenId":"…"\} for one token/],
      [own, '{"tokenId":"a","subject":"b"}', 400, /expected \{"tokenId":"…"\} for one token/],
      [own, '{"tokenId":7}', 400, /tokenId: expected a text, got 7/],
      [own, '{"tokenId":""}', 400, /1 to 200 characters/],
      [
        own,
        '{"tokenId":"a","expires":1}',
        400,
        /expected the fields tokenId, expiresAt, got the unknown field "expires"/,
      ],
      [own, '{"subject":"a"}', 400, /issuedBefore: expected a time in epoch ms, got undefined/],
      [
        own,
        '{"subject":"a","issuedBefore":1700000000}',
        400,
        /issuedBefore 1700000000; expected milliseconds since 1970/,
      ],
      [own, '{"tokenId":"a","expiresAt":1700000000}', 400, /expiresAt 1700000000; .* probably in seconds/],
      [own, `{"tokenId":"${'x'.repeat(17_000)}"}`, 413, /at most 16384 bytes/],
    ];
  for (const [headers, body, status, message] of cases) {
    const answer = await request('POST', path, headers, body);
    assert.equal(answer.status, status, body.slice(0, 40));
    assert.match(answer.json.error.message, message);
  }
  const latin1 = await request('POST', path, own, Buffer.from('{"subject":"andr\xe9","issuedBefore":1}', 'latin1'));
  assert.equal(latin1.status, 400);
  assert.match(latin1.json.error.message, /expected JSON in UTF-8/);
  const notice = await request('POST', '/v1/notice', own, '{"severity":"fatal","message":"x"}');
  assert.equal(notice.status, 400);
  assert.match(notice.json.error.message, /severity: expected info, warning, critical, got "fatal"/);
  assert.equal((await request('GET', path)).status, 401);
});

test('each refusal is counted by its reason', async () => {
  assert.ok((await node.metric('tailrace_fanout_refused_user_connections_total')) > 0);
  assert.ok((await node.metric('tailrace_fanout_refused_user_subscriptions_total')) > 0);
  assert.equal(await node.metric('tailrace_fanout_refused_rate_clients_total'), 3);
  assert.ok((await node.metric('tailrace_fanout_refused_handshakes_total')) >= 0);
});
