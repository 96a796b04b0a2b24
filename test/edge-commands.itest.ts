import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { createMemoryNetwork } from '@tailrace/bus/memory';
import { createEdge, type Edge } from '@tailrace/edge/app';
import { configSchema } from '@tailrace/edge/config';
import { sourcesFrom } from '@tailrace/edge/sources-file';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { issueToken } from '@tailrace/platform/token';
import type { CommandOutcome } from '@tailrace/protocol/device-command';
import { CommandClient } from '@tailrace/testkit/command-client';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { startPeer } from '../services/edge/test/modbus-peer.ts';
import { startIngest, tokenSecret } from '../services/ingest/test/ingest-fixture.ts';

/** From the bus through ingest and the gateway to a register of a Modbus server, and back. */
failOnLeaks();

const gateway = 'plant1.edge1';
const pump = 'plant1.pump1';

test('a command writes a register of a machine behind the gateway, reads it back, and is executed once, also after a restart', async (t) => {
  const peer = await startPeer('tcp');
  const dir = await createTempDir('edge-commands');
  t.after(async () => {
    await peer.stop();
    await dir.remove();
  });
  const network = createMemoryNetwork({ clock: systemClock });
  const [bus, control] = ['ingest', 'control'].map((node) => network.createBus({ node, logger: silentLogger }));
  const { url } = await startIngest(t, { bus: bus! });
  await control!.start();
  t.after(() => control!.close());
  const client = new CommandClient(control!, systemClock);
  await client.start();
  const token = await issueToken({
    ...{ secret: tokenSecret, subject: 'edge1', publish: ['plant1.>'], subscribe: [], expiresInMs: 3_600_000 },
    receiveCommands: ['plant1.>'],
  });
  const tags = [
    { tag: 'setpoint', table: 'holding', address: 7, type: 'u16', write: { min: 0, max: 100 } },
    { tag: 'pressure', table: 'input', address: 3, type: 'u16' },
  ];
  const units = [{ unit: 1, device: pump, addressing: 'zero', pollMs: 100, tags }];
  const sources = [{ name: 'plc', modbus: { host: '127.0.0.1', port: peer.port }, units }];
  const commands = [{ device: pump, name: 'relieve', set: { setpoint: 0 } }];
  const start = async (): Promise<Edge> => {
    const settings = { edgePath: gateway, token, ingestUrl: url, storePath: join(dir.path, 'store'), drainMs: 500 };
    const edge = createEdge({
      ...{ config: configSchema.parse(settings), sources: sourcesFrom(JSON.stringify({ sources, commands })) },
      ...{ clock: systemClock, random: Math.random, logger: silentLogger },
      metrics: createMetrics({ service: 'edge', node: 'test', processMetrics: false }),
    });
    await edge.start();
    await eventually(() => edge.uplink.state === 'up' && edge.sources[0]!.isLive, { deadlineMs: 20_000 });
    return edge;
  };
  const send = async (id: string, name: string, params: Record<string, number>): Promise<CommandOutcome> => {
    let last: CommandOutcome | undefined;
    const issued = Date.now();
    for await (const outcome of client.send({
      ...{ id, device: pump, via: gateway, name, params, qos: 1, issued, deadline: issued + 10_000 },
      ...{ fence: 0, session: 0, subject: 'test', traceparent: '' },
    }))
      last = outcome;
    return last!;
  };
  const written = () => peer.writes.map(({ address, values }) => `${address}=${values}`);

  let edge = await start();
  t.after(() => edge.stop());
  const done = await send('c1', 'set', { setpoint: 42 });
  assert.deepEqual([done.state, done.before, done.after, done.confirmedBy], ['done', 7, 42, 'read_back']);
  const relieved = await send('c2', 'relieve', {});
  assert.deepEqual([relieved.state, relieved.after], ['done', 0]);
  for (const [id, name, params, code] of [
    ['c3', 'set', { setpoint: 101 }, 'forbidden'],
    ['c4', 'set', { pressure: 1 }, 'forbidden'],
    ['c5', 'explode', {}, 'not_found'],
  ] as const) {
    const { state, code: got } = await send(id, name, params);
    assert.deepEqual([state, got], ['failed', code], id);
  }
  // The server prints its writes.
  await eventually(() => assert.deepEqual(written(), ['7=42', '7=0']));

  await edge.drain();
  await edge.stop();
  edge = await start();
  // The outcome that ingest remembers would hide a second execution: the gateway gets the command itself.
  const replies: unknown[] = [];
  edge.executor.execute(
    {
      ...{ id: 'c1', device: pump, name: 'set', params: { setpoint: 42 }, qos: 1, fence: 0 },
      expiresAtMs: systemClock.monotonic() + 5_000,
    },
    { delivered: () => {}, reply: (reply) => replies.push(reply) },
  );
  assert.deepEqual(replies, [{ state: 'done', before: 7, after: 42, confirmedBy: 'read_back' }]);
  assert.deepEqual(written(), ['7=42', '7=0']);

  const times: number[] = [];
  for (let index = 0; index < 50; index++) {
    const startMs = performance.now();
    assert.equal((await send(`t${index}`, 'set', { setpoint: index })).state, 'done');
    times.push(performance.now() - startMs);
  }
  times.sort((a, b) => a - b);
  t.diagnostic(`write with read-back, from the bus: p50 ${times[25]!.toFixed(1)} ms, p99 ${times[49]!.toFixed(1)} ms`);
});
