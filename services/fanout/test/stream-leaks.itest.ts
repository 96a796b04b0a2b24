import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { queryObjects } from 'node:v8';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { UserShare } from '../src/access/user-share.ts';
import { CatchUp } from '../src/catch-up/catch-up.ts';
import { LiveBuffer } from '../src/channels/channels.ts';
import { Replies } from '../src/sessions/replies.ts';
import { Session } from '../src/sessions/session.ts';
import { StreamSocket } from '../src/sessions/stream-socket.ts';
import { Subscriptions } from '../src/sessions/subscriptions.ts';
import { randomFrom } from './cluster.ts';
import { startNode, type TestNode } from './node.ts';
import { watch } from './watcher.ts';

failOnLeaks();

let node: TestNode;
before(async () => {
  // The entry of a client that may still send a token is removed after this time.
  node = await startNode({ authDeadlineMs: 100 });
});
after(() => node.stop());

/** A client has one or more instances of each. */
const classes = [Session, StreamSocket, Subscriptions, Replies, UserShare, LiveBuffer, CatchUp];

const random = randomFrom(1);

/** Connects a client that subscribes, unsubscribes, receives reports, and leaves with or without a close frame. */
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
  if (random() < 0.5) client.terminate();
  else await client.end();
}

async function visits(count: number): Promise<void> {
  for (let i = 0; i < count; i += 20) await Promise.all(Array.from({ length: 20 }, visit));
  await eventually(async () => assert.equal(await node.metric('tailrace_fanout_connections'), 0));
  assert.equal(await node.metric('tailrace_fanout_channels'), 0);
}

test('1,000 clients leave no object behind', async () => {
  await visits(1_000);
  // A leak of a client retains one of these. The size of the heap shows less: the log and the window grow as well.
  // A count takes seconds on a busy machine: it collects garbage first.
  await eventually(
    () => {
      const left = classes
        .map((each) => [each.name, queryObjects(each, { format: 'count' })] as const)
        .filter(([, count]) => count > 0);
      assert.deepEqual(left, []);
    },
    { deadlineMs: 60_000, pollMs: 500 },
  );
  assert.equal(await node.metric('tailrace_fanout_opened_connections_total'), 1_000);
});

test('a connected client is counted', async () => {
  const client = await watch({ port: node.port, token: node.token, channels: ['p.>'] });
  assert.equal(queryObjects(Session, { format: 'count' }), 1);
  await client.end();
});
