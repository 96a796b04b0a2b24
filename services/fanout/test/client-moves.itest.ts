import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Delivery } from '@tailrace/client/report';
import { createStream, type Stream } from '@tailrace/client/stream';
import { eventually } from '@tailrace/testkit/eventually';
import { freePort } from '@tailrace/testkit/free-port';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import {
  type BrokeredNode,
  type Brokers,
  Load,
  settled,
  startBrokeredNode,
  startBrokers,
  tokenForAll,
} from './brokered.ts';

failOnLeaks({ graceMs: 5_000 });

const prefix = 'clientmoves';
const devices = ['own.a', 'own.b', 'own.c', 'own.d', 'own.e', 'own.f'];
const nodes: BrokeredNode[] = [];
const streams: Stream[] = [];
let brokers: Brokers;
let token: string;
let load: Load;

before(async () => {
  brokers = await startBrokers();
  token = await tokenForAll();
  for (const name of ['a', 'b']) {
    const port = await freePort();
    const settings = { port, publicUrl: `ws://127.0.0.1:${port}`, settleMs: 200, drainMs: 2_000 };
    nodes.push(await startBrokeredNode(brokers, name, prefix, settings));
  }
  await settled(nodes, 6, 1);
  load = new Load(brokers, prefix, devices);
  await load.start();
});
after(async () => {
  for (const stream of streams) stream.close();
  await load.close();
  await Promise.all(nodes.map((node) => node.stop()));
  await brokers.stop();
});

/** Subscribes to a device through the SDK, and records what it delivers. */
function see(url: string | string[], device: string) {
  const stream = createStream({ url, token, backoff: { baseMs: 50, capMs: 500 } });
  streams.push(stream);
  const seen = { numbers: [] as number[], nodes: [] as string[], losses: 0 };
  stream.onState((state) => {
    if (state.name === 'live') seen.nodes.push(state.node);
    if (state.name === 'waiting') seen.losses++;
  });
  const take = (reports: readonly Delivery[]) =>
    seen.numbers.push(...reports.map(({ readings }) => Number(readings[0]?.value)));
  stream.subscribe(device, { onSnapshot: take, onReports: take });
  return seen;
}

function assertWhole(numbers: readonly number[]): void {
  const first = numbers[0]!;
  assert.deepEqual(
    numbers,
    numbers.map((_, index) => first + index),
  );
}

test('the SDK moves to the node of its device, without a pause, a loss or a duplicate', async () => {
  const seen = devices.map((device) => ({ device, of: see(`ws://127.0.0.1:${nodes[0]!.port}`, device) }));
  await eventually(() => assert.ok(seen.some(({ of }) => of.nodes.at(-1) === 'b')), {
    deadlineMs: 20_000,
    describe: 'a client on the other node',
  });
  for (const { device, of } of seen) {
    const reached = of.numbers.length + 20;
    await eventually(() => assert.ok(of.numbers.length >= reached, `${device} has ${of.numbers.length}`), {
      deadlineMs: 20_000,
    });
    assertWhole(of.numbers);
    assert.equal(of.losses, 0);
    assert.ok(of.nodes.length <= 2, of.nodes.join());
  }
});

test('when its node drains, the SDK is on another node before the connection closes', async () => {
  const urls = nodes.map(({ port }) => `ws://127.0.0.1:${port}`);
  const seen = devices.map((device) => see(urls, device));
  await eventually(() => assert.ok(seen.every(({ numbers }) => numbers.length > 5)), { deadlineMs: 20_000 });
  await nodes[1]!.stop();
  for (const of of seen) {
    const reached = of.numbers.length + 20;
    await eventually(() => assert.ok(of.numbers.length >= reached), { deadlineMs: 30_000 });
    assertWhole(of.numbers);
    assert.equal(of.nodes.at(-1), 'a');
  }
  assert.ok(
    seen.some(({ losses, nodes: served }) => losses === 0 && served.includes('b')),
    JSON.stringify(seen.map(({ losses, nodes: served }) => ({ losses, served }))),
  );
});
