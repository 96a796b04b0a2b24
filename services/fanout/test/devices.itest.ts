import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { issueToken } from '@tailrace/platform/token';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { startNode, type TestNode, tokenSecret } from './node.ts';

failOnLeaks();

const paths = Array.from({ length: 250 }, (_, n) => `plant${n % 2}.line.m${n}`).sort();
let node: TestNode;

before(async () => {
  node = await startNode({ origins: ['https://dashboard.example'] });
  await Promise.all(paths.map((path) => node.append(path, [{ tag: 't', value: 1 }])));
  await eventually(async () => assert.equal((await devices('?limit=0', node.token)).body.count, 250));
});
after(() => node.stop());

interface Body {
  readonly devices: readonly { readonly device: string; readonly state: string; readonly received?: number }[];
  readonly next?: string;
  readonly count?: number;
  readonly notOnline?: number;
  readonly error?: { readonly code: string; readonly message: string };
}

async function devices(query: string, token?: string, method = 'GET', origin = 'https://dashboard.example') {
  const headers: Record<string, string> = { connection: 'close', origin };
  if (token !== undefined) headers['authorization'] = `Bearer ${token}`;
  const answer = await fetch(`http://127.0.0.1:${node.port}/v1/devices${query}`, { headers, method });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: (text === '' ? {} : JSON.parse(text)) as Body };
}

const token = (subscribe: string[]) =>
  issueToken({ secret: tokenSecret, subject: 's', publish: [], subscribe, expiresInMs: 60_000 });

test('all devices are listed page by page, with their state and last time; the first page has the counts', async () => {
  const seen: string[] = [];
  let query = '?limit=100';
  for (;;) {
    const { status, body } = await devices(query, node.token);
    assert.equal(status, 200);
    assert.deepEqual([body.count, body.notOnline], seen.length === 0 ? [250, 0] : [undefined, undefined]);
    seen.push(...body.devices.map(({ device }) => device));
    for (const { state, received = 0 } of body.devices) assert.ok(state === 'online' && received > 1.6e12);
    if (body.next === undefined) break;
    query = `?limit=100&after=${body.next}`;
  }
  assert.deepEqual(seen, paths);
});

test('only devices that the token covers are listed', async () => {
  const narrow = await token(['plant1.>']);
  const all = await devices('?limit=1000', narrow);
  assert.deepEqual(
    all.body.devices.map(({ device }) => device),
    paths.filter((path) => path.startsWith('plant1.')),
  );
  assert.equal(all.body.count, 125);
  for (const channel of ['>', 'plant0.>', 'plant0.line.m0']) {
    const { status, body } = await devices(`?channel=${encodeURIComponent(channel)}`, narrow);
    assert.deepEqual([status, body.error?.code], [403, 'forbidden'], channel);
  }
  // `after` does not reach devices outside.
  const behind = await devices('?limit=1000&after=plant0.line.m0', narrow);
  assert.ok(behind.body.devices.every(({ device }) => device.startsWith('plant1.')));
});

test('invalid requests are refused, each with its error', async () => {
  const refusals = [
    ['', undefined, 401, 'unauthorized'],
    ['', 'nonsense', 401, 'unauthorized'],
    ['', await token([]), 403, 'forbidden'],
    ['?channel=a..b', node.token, 400, 'invalid_pattern'],
    ['?after=a..b', node.token, 400, 'invalid_path'],
    ['?limit=1001', node.token, 400, 'invalid_message'],
  ] as const;
  for (const [query, bearer, status, code] of refusals) {
    const answer = await devices(query, bearer);
    assert.deepEqual([answer.status, answer.body.error?.code], [status, code], query);
  }
});

test('allowed origins get CORS headers, others do not', async () => {
  const allowed = await devices('?limit=0', node.token);
  assert.equal(allowed.headers.get('access-control-allow-origin'), 'https://dashboard.example');
  const preflight = await devices('', undefined, 'OPTIONS');
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get('access-control-allow-headers'), 'Authorization');
  const other = await devices('?limit=0', node.token, 'GET', 'https://elsewhere.example');
  assert.equal(other.headers.get('access-control-allow-origin'), null);
  const refused = await devices('', undefined);
  assert.equal(refused.headers.get('access-control-allow-origin'), 'https://dashboard.example', 'refusals, too');
});

test('requests are counted and timed', async () => {
  const page = await node.page();
  assert.match(page, /tailrace_fanout_http_requests_total\{[^}]*endpoint="devices",code="ok"[^}]*\} [1-9]/);
});
