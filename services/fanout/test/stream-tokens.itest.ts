import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, test } from 'node:test';
import { issueToken } from '@tailrace/platform/token';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import type { RawWebSocket } from '@tailrace/testkit/raw-websocket';
import { startNode, type TestNode, tokenSecret } from './node.ts';

failOnLeaks();

let node: TestNode;
before(async () => {
  node = await startNode({
    authDeadlineMs: 3_000,
    heartbeatMs: 2_000,
    pongDeadlineMs: 1_000,
    tokenClockToleranceMs: 0,
  });
});
after(() => node.stop());

const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Signs any header and payload, so that a token can be invalid in any way. */
function forged(header: object, payload: object, secret = tokenSecret): string {
  const signed = `${base64url(header)}.${base64url(payload)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

const hs256 = { alg: 'HS256', typ: 'JWT' };
/** At least `seconds - 1` from now: tokens have whole seconds. */
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;
const good = { sub: 's', exp: inSeconds(3_600), subscribe: ['p.>'] };

const wrong: readonly (readonly [what: string, token: string, sentence: RegExp])[] = [
  ['is malformed', 'hello', /^the token "hello"… is malformed; expected three parts of base64url joined by dots/],
  ['is empty but for dots', '..', /is malformed/],
  [
    'is not signed (alg none)',
    `${base64url({ alg: 'none' })}.${base64url(good)}.`,
    /is signed with the algorithm "none"; expected HS256/,
  ],
  [
    'is signed by another algorithm',
    forged({ alg: 'HS512' }, good),
    /is signed with the algorithm "HS512"; expected HS256/,
  ],
  [
    'is signed with another key',
    forged(hs256, good, 'another secret that is long enough'),
    /is signed with another key than the one of this server/,
  ],
  [
    'was changed on the way',
    forged(hs256, good).replace(/\.[^.]+\./, `.${base64url({ ...good, subscribe: ['>'] })}.`),
    /or was changed on the way/,
  ],
  [
    'has expired',
    forged(hs256, { ...good, exp: inSeconds(-60) }),
    /expired at \d{4}-.*Z; it is \d{4}-.*Z here: get a new one/,
  ],
  [
    'does not hold yet',
    forged(hs256, { ...good, nbf: inSeconds(3_600) }),
    /is not valid before \d{4}-.*: wait, or check the clocks/,
  ],
  ['has no subject', forged(hs256, { ...good, sub: undefined }), /as its subject \(sub\)/],
  [
    'grants an invalid pattern',
    forged(hs256, { ...good, subscribe: ['p.*'] }),
    /grants subscribe on an invalid pattern; pattern: .*, got "p\.\*"/,
  ],
];

/** Waits for an error, and the close code after it. */
async function refusal(ws: RawWebSocket): Promise<{ error: { code: string; message: string }; close: number }> {
  const { error } = (await ws.nextJson()) as { error: { code: string; message: string } };
  return { error, close: (await ws.closed).code };
}

for (const [what, token, sentence] of wrong) {
  test(`a token that ${what} closes the connection with 4401 and its error, in URL, header and message`, async () => {
    const inUrl = await node.connect({ path: `/v1/stream?token=${encodeURIComponent(token)}` });
    const inHeader = await node.connect({ headers: { Authorization: `Bearer ${token}` } });
    const inMessage = await node.connect();
    inMessage.sendText(JSON.stringify({ auth: { token } }));
    for (const ws of [inUrl, inHeader, inMessage]) {
      const { error, close } = await refusal(ws);
      assert.match(error.message, sentence);
      assert.deepEqual([error.code, close], ['unauthorized', 4401]);
      assert.ok(!error.message.includes(token) || token.length < 7, 'the token itself is not repeated');
    }
  });
}

test('a token that is too long, or empty, closes the connection with 4401 and the expected length', async () => {
  for (const length of [0, 8_193, 16_000]) {
    const ws = await node.connect();
    ws.sendText(JSON.stringify({ auth: { token: 'x'.repeat(length) } }));
    const { error, close } = await refusal(ws);
    assert.equal(error.message, `auth.token: expected a token of 1 to 8192 characters, got ${length} characters`);
    assert.equal(close, 4401);
  }
});

test('a large token within the limit is accepted in a message', async () => {
  const subscribe = Array.from({ length: 200 }, (_, i) => `plant${i}.line.>`);
  const token = await issueToken({ secret: tokenSecret, subject: 's', publish: [], subscribe, expiresInMs: 60_000 });
  const ws = await node.connect();
  ws.sendText(JSON.stringify({ auth: { token } }));
  assert.ok('welcome' in ((await ws.nextJson()) as object));
  ws.close();
  await ws.closed;
});

test('a message before the token closes the connection with 4401', async () => {
  const ws = await node.connect();
  ws.sendText('{"subscribe":{"id":"a","channel":"p.d"}}');
  const { error, close } = await refusal(ws);
  assert.match(error.message, /as the first message, got "subscribe"/);
  assert.equal(close, 4401);
});

test('a client without a token at the deadline is disconnected with 4408', async () => {
  const ws = await node.connect();
  assert.deepEqual(await ws.closed, { code: 4408, reason: 'no auth message in time' });
});

test('a client whose token expires is warned, and disconnected with 4401', async () => {
  const token = forged(hs256, { ...good, exp: inSeconds(4) });
  const ws = await node.connect({ path: `/v1/stream?token=${token}&channel=p.d` });
  assert.deepEqual(
    [Object.keys((await ws.nextJson()) as object), Object.keys((await ws.nextJson()) as object)],
    [['welcome'], ['expiring']],
  );
  assert.equal((await ws.closed).code, 4401);
});

test('a fresh token in time keeps the connection, and removes what it does not cover', async () => {
  const ws = await node.connect({ path: `/v1/stream?token=${forged(hs256, { ...good, exp: inSeconds(4) })}` });
  await ws.nextJson();
  assert.ok('expiring' in ((await ws.nextJson()) as object));
  for (const [id, channel] of [
    ['a', 'p.a'],
    ['b', 'p.b'],
  ])
    ws.sendText(JSON.stringify({ subscribe: { id, channel } }));
  await ws.nextJson();
  await ws.nextJson();
  ws.sendText(JSON.stringify({ auth: { token: forged(hs256, { ...good, subscribe: ['p.a'] }) } }));
  const { error } = (await ws.nextJson()) as { error: { id: string; code: string } };
  assert.deepEqual([error.id, error.code], ['b', 'forbidden']);
  assert.ok('welcome' in ((await ws.nextJson()) as object));
  const pings = () => ws.frames.filter(({ opcode }) => opcode === 9).length;
  // Every two seconds: the first token has expired.
  await eventually(() => pings() >= 3, { deadlineMs: 20_000 });
  await node.append('p.b', [{ tag: 'n', value: 1 }]);
  await node.append('p.a', [{ tag: 'n', value: 2 }]);
  const { data } = (await ws.nextJson()) as { data: { reports: { device: string }[] } };
  assert.deepEqual(
    data.reports.map(({ device }) => device),
    ['p.a'],
  );
  ws.close();
  await ws.closed;
});
