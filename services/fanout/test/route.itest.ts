import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { issueToken } from '@tailrace/platform/token';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { startNode, type TestNode, tokenSecret } from './node.ts';

failOnLeaks();

let node: TestNode;
before(async () => {
  node = await startNode({ publicUrl: 'wss://fanout-0.example' });
});
after(() => node.stop());

async function route(
  query: string,
  token?: string,
): Promise<{ status: number; body: unknown; retryAfter: string | null }> {
  const headers: Record<string, string> = { connection: 'close' };
  if (token !== undefined) headers['authorization'] = `Bearer ${token}`;
  const answer = await fetch(`http://127.0.0.1:${node.port}/v1/route${query}`, { headers });
  return { status: answer.status, body: await answer.json(), retryAfter: answer.headers.get('retry-after') };
}

test('a client gets the node that owns a device, and its URL', async () => {
  await eventually(async () => assert.equal((await route('?device=p.d', node.token)).status, 200));
  assert.deepEqual((await route('?device=p.d', node.token)).body, { node: 'test', url: 'wss://fanout-0.example' });
  assert.equal((await route(`?device=p.d&token=${node.token}`)).status, 200);
});

test('invalid devices, invalid tokens and uncovered devices are refused, each with its error', async () => {
  const narrow = await issueToken({
    secret: tokenSecret,
    subject: 's',
    publish: [],
    subscribe: ['q.>'],
    expiresInMs: 60_000,
  });
  const refusals = [
    ['?device=p..d', node.token, 400, 'invalid_path'],
    ['', node.token, 400, 'invalid_path'],
    ['?device=p.d', undefined, 401, 'unauthorized'],
    ['?device=p.d', 'nonsense', 401, 'unauthorized'],
    ['?device=p.d', narrow, 403, 'forbidden'],
  ] as const;
  for (const [query, token, status, code] of refusals) {
    const answer = await route(query, token);
    assert.equal(answer.status, status, query);
    assert.equal((answer.body as { error: { code: string; message: string } }).error.code, code);
  }
});
