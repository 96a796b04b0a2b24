import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLocalNode } from '../../test/local-node.ts';
import { runCoroutine } from '../catch-up/coroutine.ts';
import { devicePage } from './device-page.ts';

function fleet(paths: readonly string[], partitions = 4) {
  const node = createLocalNode({ partitions });
  for (const path of paths) node.report(path, { t: 1 });
  const queue = node.work.queue('test');
  const list = (patterns: readonly string[], after: string, limit: number, counts = false) =>
    runCoroutine(queue, devicePage(node.partitions, { patterns, after, limit, counts }));
  return { node, list };
}

async function pathsByPage(list: ReturnType<typeof fleet>['list'], patterns: readonly string[], limit: number) {
  const pages: string[][] = [];
  let after = '';
  for (;;) {
    const { devices } = await list(patterns, after, limit);
    pages.push(devices.map(({ path }) => path));
    if (devices.length < limit) return pages;
    after = devices.at(-1)!.path;
  }
}

test('each device of all partitions is listed once, in the order of the paths, for any size of the pages', async () => {
  const paths = Array.from({ length: 700 }, (_, n) => `plant${n % 3}.line${n % 7}.m${n}`);
  const { list } = fleet(paths);
  for (const limit of [1, 63, 64, 65, 700, 1000]) {
    const pages = await pathsByPage(list, ['>'], limit);
    assert.deepEqual(pages.flat(), [...paths].sort(), `limit ${limit}`);
  }
});

test('devices are listed in the order of the ranges of the patterns, whatever the order of the patterns', async () => {
  const { list } = fleet(['a', 'a-b', 'a.x', 'a.y.z', 'b', 'c.d', 'c.e']);
  const pages = await pathsByPage(list, ['c.e', 'a.>', 'b'], 2);
  assert.deepEqual(pages, [['a.x', 'a.y.z'], ['b', 'c.e'], []]);
  const { count } = await list(['c.e', 'a.>', 'b'], '', 0, true);
  assert.equal(count, 4);
});

test('a token with many patterns gets its list in as many steps', () => {
  const { node } = fleet(['a.x']);
  const patterns = Array.from({ length: 256 }, (_, n) => `b${n}.>`);
  const steps = devicePage(node.partitions, { patterns, after: '', limit: 100, counts: false });
  let count = 1;
  while (!steps.next().done) count++;
  assert.ok(count >= 256, `${count} steps`);
});

test('each device has its state and the time of its last report, and devices that are not online are counted', async () => {
  const { node, list } = fleet(['p.a', 'p.b', 'p.c']);
  const now = node.clock.now();
  for (const partition of node.partitions) {
    for (const [path, device] of partition.devices) {
      // 1: stale; 2: offline.
      if (path !== 'p.a')
        partition.setIdle(device, { state: path === 'p.b' ? 1 : 2, sinceMs: now - 5_000, seq: device.lastSeq });
    }
  }
  const { devices, count, notOnline } = await list(['p.>'], '', 10, true);
  assert.deepEqual(
    devices.map(({ path, state }) => [path, state]),
    [
      ['p.a', 'online'],
      ['p.b', 'stale'],
      ['p.c', 'offline'],
    ],
  );
  assert.deepEqual([count, notOnline], [3, 2]);
  assert.equal(devices[1]?.receivedMs, now - 5_000);
  assert.ok(devices[0]!.receivedMs > 0);
});
