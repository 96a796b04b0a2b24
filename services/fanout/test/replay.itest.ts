import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { Load, startBrokeredNode, startBrokers, tokenForAll } from './brokered.ts';
import { startNode } from './node.ts';
import { type Watcher, watch } from './watcher.ts';

failOnLeaks({ graceMs: 5_000 });

const range = (to: number) => Array.from({ length: to }, (_, i) => i + 1);

/** Replays everything since `fromMs`, with a pause in between. */
async function replay(watcher: Watcher, channel: string, fromMs: number): Promise<void> {
  watcher.send({ subscribe: { id: 'r', channel, from: fromMs } });
  const { subscribed } = await watcher.next('subscribed');
  assert.deepEqual([subscribed.recovered, subscribed.snapshot], [true, 0]);
  watcher.send({ pause: { id: 'r' } });
  await watcher.next('paused');
  const before = [...watcher.shown.values()].reduce((sum, { values }) => sum + values.length, 0);
  watcher.send({ ping: { t: 1 } });
  await watcher.next('pong');
  const after = [...watcher.shown.values()].reduce((sum, { values }) => sum + values.length, 0);
  assert.equal(after, before, 'nothing is sent while it is paused');
  watcher.send({ resume: { id: 'r' } });
  await watcher.next('live');
}

test('reports since a time are replayed, paused, resumed and joined to live data', async (t) => {
  // Without a window all of it is read from the log.
  const node = await startNode({ windowBytesMax: 0 });
  after(() => node.stop());
  const fromMs = Date.now();
  for (const value of range(2_500))
    await node.append(`plant.d${value % 5}`, [{ tag: 'n', value: Math.ceil(value / 5) }]);
  const watcher = await watch({ port: node.port, token: node.token });
  t.after(() => watcher.end());
  let running = true;
  const load = (async () => {
    for (let value = 501; running; value++) {
      for (let i = 0; i < 5; i++) await node.append(`plant.d${i}`, [{ tag: 'n', value }]);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return 0;
  })();
  await replay(watcher, 'plant.>', fromMs);
  running = false;
  await load;
  await node.append('plant.d0', [{ tag: 'n', value: watcher.last('plant.d0')! + 1 }]).catch(() => undefined);
  await eventually(() => [...watcher.shown.values()].every(({ values }) => values.length >= 500));
  assert.deepEqual(watcher.violations(), []);
  for (const { values } of watcher.shown.values()) assert.equal(values[0], 1);
  // With a speed.
  const fast = await watch({ port: node.port, token: node.token, encoding: 'proto' });
  t.after(() => fast.end());
  fast.send({ subscribe: { id: 'f', channel: 'plant.d1', from: fromMs, speed: 1_000 } });
  await fast.next('live');
  assert.deepEqual(fast.violations(), []);
  assert.equal(fast.shown.get('plant.d1')?.values[0], 1);
});

test('on Kafka replays do the same while devices report', async (t) => {
  const brokers = await startBrokers();
  after(() => brokers.stop());
  const node = await startBrokeredNode(brokers, 'replay', 'replay');
  const load = new Load(brokers, 'replay', ['plant.a', 'plant.b', 'plant.c']);
  t.after(async () => {
    await load.close();
    await node.stop();
  });
  const fromMs = Date.now() - 1_000;
  await load.start();
  await load.passed(50);
  const watcher = await watch({ port: node.port, token: await tokenForAll() });
  t.after(() => watcher.end());
  await replay(watcher, 'plant.>', fromMs);
  await load.passed(20);
  await load.stop();
  await eventually(() => load.devices.every((device) => watcher.last(device) === load.sent.get(device)));
  assert.deepEqual(watcher.violations(), []);
  for (const device of load.devices) assert.deepEqual(watcher.shown.get(device)?.values, range(load.sent.get(device)!));
});
