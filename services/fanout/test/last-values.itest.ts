import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { startNode } from './node.ts';
import { watch } from './watcher.ts';

failOnLeaks({ graceMs: 5_000 });

test('a late reading is delivered live, and a later snapshot has the newer one, also with several readings in a report', async (t) => {
  const node = await startNode();
  t.after(() => node.stop());
  const subscribed = async (options: object = {}) => {
    const watcher = await watch({ port: node.port, token: node.token });
    t.after(() => watcher.end());
    watcher.send({ subscribe: { id: 'a', channel: 'plant.d', ...options } });
    await watcher.next('subscribed');
    return watcher;
  };
  const nowMs = Date.now();
  const live = await subscribed();
  await node.append('plant.d', [{ tag: 'n', value: 1, time: nowMs }]);
  await node.append('plant.d', [{ tag: 'n', value: 2, time: nowMs - 3_600_000 }]);
  await eventually(() => live.last('plant.d') === 2);
  const later = await subscribed();
  await eventually(() => later.last('plant.d') === 1);
  // Of several readings the one with the newest time is the last value, in any order.
  const collected = [5, 3, 4].map((value) => ({ tag: 'n', value, time: nowMs + value }));
  await node.append('plant.d', collected);
  await node.append('plant.d', [{ tag: 'n', value: 9, time: nowMs + 4 }]);
  await eventually(() => live.last('plant.d') === 9);
  const last = await subscribed({ snapshot: true });
  await eventually(() => last.shown.has('plant.d'));
  assert.equal(last.shown.get('plant.d')!.snapshots, 1);
  assert.equal(await node.metric('tailrace_fanout_late_reports_total'), 2);
});
