import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { issueToken } from '@tailrace/platform/token';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { connectRawWebSocket } from '@tailrace/testkit/raw-websocket';
import { type BrokeredNode, type Brokers, startBrokeredNode, startBrokers } from './brokered.ts';
import { tokenSecret } from './node.ts';

failOnLeaks({ graceMs: 5_000 });

let brokers: Brokers;
let nodes: BrokeredNode[];
before(async () => {
  brokers = await startBrokers();
  nodes = [await startBrokeredNode(brokers, 'access-a', 'access')];
  nodes.push(await startBrokeredNode(brokers, 'access-b', 'access'));
  await eventually(
    async () => {
      for (const node of nodes) assert.equal(await node.metric('tailrace_fanout_ring_nodes'), 2);
    },
    { deadlineMs: 30_000, describe: 'the nodes discover each other' },
  );
});
after(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await brokers.stop();
});

const issue = (subject: string, facts: { tokenId?: string; roles?: string[] } = {}) =>
  issueToken({ secret: tokenSecret, subject, publish: [], subscribe: ['>'], expiresInMs: 3_600_000, ...facts });

async function post(node: BrokeredNode, path: string, body: object): Promise<unknown> {
  const answer = await fetch(`http://127.0.0.1:${node.port}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await issue('operator', { roles: ['operator'] })}`, connection: 'close' },
    body: JSON.stringify(body),
  });
  assert.equal(answer.status, 202);
  return answer.json();
}

async function connect(node: BrokeredNode, token: string) {
  const ws = await connectRawWebSocket({ port: node.port, path: `/v1/stream?token=${token}` });
  return { ws, first: (await ws.nextJson()) as Record<string, unknown> };
}

test('a token that is revoked at one node is disconnected from the other within two seconds, and stays revoked on nodes that start later', async () => {
  // The best of some times counts, because the machine may pause.
  const times: number[] = [];
  let token = '';
  while (times.length < 3 && !times.some((ms) => ms < 2_000)) {
    const tokenId = `t${times.length}`;
    token = await issue('anna', { tokenId });
    const { ws } = await connect(nodes[1]!, token);
    const startMs = performance.now();
    assert.deepEqual(await post(nodes[0]!, '/v1/revocations', { tokenId }), { nodes: 2 });
    assert.equal((await ws.closed).code, 4401);
    times.push(performance.now() - startMs);
  }
  assert.ok(Math.min(...times) < 2_000, `${times} ms`);

  const later = await startBrokeredNode(brokers, 'access-c', 'access');
  nodes.push(later);
  await eventually(async () => assert.equal(await later.metric('tailrace_fanout_revocation_entries'), times.length), {
    deadlineMs: 30_000,
  });
  const refused = await connect(later, token);
  assert.ok('error' in refused.first);
  assert.equal((await refused.ws.closed).code, 4401);
});

test('a notice to one node reaches the clients of all', async () => {
  const clients = await Promise.all(nodes.map(async (node) => (await connect(node, await issue('anna'))).ws));
  await post(nodes[0]!, '/v1/notice', { severity: 'critical', message: 'stop' });
  for (const ws of clients) {
    const { notice } = (await ws.nextJson()) as { notice: { message: string } };
    assert.equal(notice.message, 'stop');
    ws.close();
    await ws.closed;
  }
});
