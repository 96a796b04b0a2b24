import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leakcheck';
import { randomFrom } from './cluster.ts';
import { startNode, type TestNode } from './node.ts';
import { watch } from './watcher.ts';

failOnLeaks();

let node: TestNode;
before(async () => {
  // What is remembered of a client that may still have to bring a token is forgotten after that time.
  node = await startNode({ authDeadlineMs: 100 });
});
after(() => node.stop());

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const random = randomFrom(1);

/** A client that subscribes, unsubscribes, is shown something, and leaves in one of the ways in which clients leave. */
async function visit(): Promise<void> {
  const encoding = random() < 0.5 ? 'json' : 'proto';
  const channels = [`p.d${Math.floor(random() * 50)}`, 'p.>'];
  const client = await watch({ port: node.port, token: node.token, channels, encoding });
  client.send({ subscribe: { id: 'x', channel: `q.d${Math.floor(random() * 1e9)}` } });
  await eventually(() => client.messages.all.filter((message) => 'subscribed' in message).length === 3);
  if (random() < 0.5) {
    client.send({ unsubscribe: { id: 'x' } });
    await client.next('unsubscribed');
  }
  if (random() < 0.5) await node.append(channels[0]!, [{ tag: 'n', value: 1 }]);
  if (random() < 0.5) client.cut();
  else await client.end();
}

async function visits(count: number): Promise<void> {
  for (let i = 0; i < count; i += 20) await Promise.all(Array.from({ length: 20 }, visit));
  await eventually(async () => assert.equal(await node.metric('tailrace_fanout_connections'), 0));
  assert.equal(await node.metric('tailrace_fanout_channels'), 0);
}

function heapBytes(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

test('1,000 clients that came and went leave nothing behind', async () => {
  await visits(1_000);
  const before = await eventually(heapBytes);
  await visits(1_000);
  // A session with three subscriptions is about 3 KB: one in ten kept would show.
  await eventually(() => assert.ok(heapBytes() - before < 300_000, `${heapBytes() - before} bytes more`), {
    deadlineMs: 10_000,
    pollMs: 200,
  });
  assert.equal(await node.metric('tailrace_fanout_opened_connections_total'), 2_000);
});
