import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCluster } from '../test/cluster.ts';

Error.stackTraceLimit = 50;

/** The product's files in a call's stack, outermost first, each once. */
function filesOnStack(): string[] {
  const lines = new Error('for its stack').stack!.split('\n');
  const files = lines.flatMap((line) => /services\/fanout\/src\/([a-z/-]+\.ts)/.exec(line)?.[1] ?? []);
  return [...new Set(files.filter((file) => !file.endsWith('.test.ts')).reverse())];
}

/** Notes the files through which a method is reached, from now on. */
function watchCalls<K extends string>(target: Record<K, (...args: never[]) => unknown>, method: K): Set<string> {
  const files = new Set<string>();
  const original = target[method];
  target[method] = (...args: never[]) => {
    for (const file of filesOnStack()) files.add(file);
    return original.apply(target, args);
  };
  return files;
}

const device = 'plant.line1.press';

test('a reading passes few files from the log to the transport, and as few from there to another node', async (t) => {
  const cluster = await createCluster({ partitions: 1 });
  t.after(() => cluster.close());
  const nodes = [await cluster.node('a'), await cluster.node('b')];
  await cluster.clock.advance(1_000);
  const clients = nodes.map((node) => node.client(device));
  await cluster.clock.advance(1_000);
  await cluster.append(device, 1);
  await cluster.clock.advance(100);
  const isOwner = (node: (typeof nodes)[number]) => node.ownership.partitions[0]!.role === 'owned';
  const owner = nodes.find(isOwner)!;
  const other = nodes.find((node) => !isOwner(node))!;

  const accepted = watchCalls(owner.views, 'add');
  const published = watchCalls(owner.transport, 'publish');
  const sent = watchCalls(owner.bus, 'publish');
  const acceptedThere = watchCalls(other.views, 'add');
  const publishedThere = watchCalls(other.transport, 'publish');
  await cluster.append(device, 2);
  await cluster.clock.advance(100);

  for (const { live } of clients) assert.equal(live.at(-1)?.value, 2);
  assert.deepEqual([...accepted], ['pipeline.ts', 'ownership/partition.ts']);
  // The transport is the fifth file.
  assert.deepEqual([...published], ['pipeline.ts', 'views/view.ts', 'sessions/stream-socket.ts']);
  assert.deepEqual([...sent], ['pipeline.ts', 'relay/relay-feed.ts']);
  assert.deepEqual([...acceptedThere], ['relay/relay-subscriber.ts', 'pipeline.ts', 'ownership/partition.ts']);
  assert.deepEqual(
    [...publishedThere],
    ['relay/relay-subscriber.ts', 'pipeline.ts', 'views/view.ts', 'sessions/stream-socket.ts'],
  );
});
