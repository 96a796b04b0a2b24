import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCluster } from '../../test/cluster.ts';
import { runCoroutine } from '../catch-up/coroutine.ts';
import type { DeviceQuery } from './device-page.ts';

const paths = Array.from({ length: 60 }, (_, n) => `plant1.line${n % 4}.m${n}`).sort();

async function fleet(t: { after(call: () => Promise<void>): void }) {
  const cluster = await createCluster({ partitions: 8 });
  t.after(() => cluster.close());
  const nodes = [await cluster.node('a'), await cluster.node('b'), await cluster.node('c')];
  await cluster.clock.advance(3_000);
  for (const [n, path] of paths.entries()) await cluster.append(path, n);
  await cluster.clock.advance(3_000);
  const list = async (node: (typeof nodes)[number], query: Partial<DeviceQuery> = {}) => {
    const requested = { patterns: ['>'], after: '', limit: 1000, counts: true, ...query };
    const queue = node.work.queue('test');
    const listing = runCoroutine(queue, node.ownership.devices.list(queue, requested));
    await cluster.clock.advance(2_500);
    return await listing;
  };
  return { cluster, nodes, list };
}

test('any node lists the devices of all nodes, page by page, each once', async (t) => {
  const { nodes, list } = await fleet(t);
  for (const node of nodes) {
    assert.ok(node.ownership.partitions.filter(({ role }) => role === 'owned').length < 8, 'others own some');
    const seen: string[] = [];
    let after = '';
    for (;;) {
      const { devices, next, count, missing } = await list(node, { after, limit: 20 });
      assert.deepEqual([count, missing], [60, []]);
      seen.push(...devices.map(({ path }) => path));
      assert.ok(devices.length <= 20);
      if (next === undefined) break;
      assert.equal(next, devices.at(-1)?.path);
      after = next;
    }
    assert.deepEqual(seen, paths);
  }
});

test('only what the patterns cover is listed and counted', async (t) => {
  const { nodes, list } = await fleet(t);
  const { devices, count, next } = await list(nodes[1]!, { patterns: ['plant1.line2.>', 'plant1.line0.m0'] });
  const expected = paths.filter((path) => path.startsWith('plant1.line2.') || path === 'plant1.line0.m0');
  assert.deepEqual(
    devices.map(({ path }) => path),
    expected,
  );
  assert.deepEqual([count, next], [expected.length, undefined]);
});

test('partitions whose owner does not reply are named, and the others are listed', async (t) => {
  const { cluster, nodes, list } = await fleet(t);
  const lost = nodes[2]!.ownership.partitions.filter(({ role }) => role === 'owned').map(({ number }) => number);
  cluster.isolate('c');
  const { devices, missing } = await list(nodes[0]!);
  assert.deepEqual(missing, lost);
  assert.ok(devices.length > 0 && devices.length < 60);
});

test('equal requests for a count within a second cause one request to the owners', async (t) => {
  const { cluster, nodes, list } = await fleet(t);
  const node = nodes[0]!;
  const { devices } = node.ownership;
  const count = { limit: 0 };
  const queue = node.work.queue('other');
  const query = { patterns: ['>'], after: '', limit: 0, counts: true };
  await list(node, count);
  const first = runCoroutine(queue, devices.list(queue, query));
  await cluster.clock.advance(100);
  assert.equal((await first).count, 60);
  const { relay } = node.ownership.counts;
  const { requests } = relay;
  for (let n = 0; n < 20; n++) assert.equal((await runCoroutine(queue, devices.list(queue, query))).count, 60);
  assert.equal(relay.requests, requests);
  await cluster.append('plant1.line0.new', 1);
  await cluster.clock.advance(2_000);
  assert.equal((await list(node, count)).count, 61);
});
