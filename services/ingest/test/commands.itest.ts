import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryNetwork } from '@tailrace/bus/memory';
import { DeviceConnection } from '@tailrace/client/device';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { issueToken } from '@tailrace/platform/token';
import type { CommandOutcome, DeviceCommand } from '@tailrace/protocol/device-command';
import { CommandClient } from '@tailrace/testkit/command-client';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { startIngest, tokenSecret } from './ingest-fixture.ts';

failOnLeaks();

const edge = 'plant1.edge1';
const boiler = 'plant1.boiler';

test('a device of the SDK, and a gateway for the one behind it, obey commands over a real socket', async (t) => {
  const network = createMemoryNetwork({ clock: systemClock });
  const [bus, control] = ['ingest', 'control'].map((node) => network.createBus({ node, logger: silentLogger }));
  const { url } = await startIngest(t, { bus: bus! });
  await control!.start();
  t.after(() => control!.close());
  const client = new CommandClient(control!, systemClock);
  await client.start();
  const token = await issueToken({
    ...{ secret: tokenSecret, subject: 'edge1', publish: ['plant1.>'], subscribe: [], expiresInMs: 3_600_000 },
    receiveCommands: [edge, boiler],
  });
  const executed: string[] = [];
  const device = new DeviceConnection({
    url: url.replace('http', 'ws'),
    device: edge,
    token,
    onCommand({ id, device: to, name, params }, answer) {
      answer.delivered();
      executed.push(`${id} ${to} ${name} ${JSON.stringify(params)}`);
      if (name === 'set') answer.reply({ state: 'done', before: 60, after: 80, confirmedBy: 'read_back' });
      else answer.reply({ state: 'failed', code: 'not_found', message: `no command ${name}` });
    },
  });
  device.start();
  t.after(() => device.close());
  await eventually(() => assert.equal(device.state.name, 'live'));

  const send = async (id: string, rest: Partial<DeviceCommand>): Promise<CommandOutcome> => {
    let last: CommandOutcome | undefined;
    const issued = Date.now();
    for await (const outcome of client.send({
      ...{ id, device: edge, name: 'set', params: { temperature: 80 }, qos: 1, issued, deadline: issued + 10_000 },
      ...{ fence: 0, session: 0, subject: 'test', traceparent: '', via: '' },
      ...rest,
    }))
      last = outcome;
    return last!;
  };
  const done = await send('c1', {});
  assert.deepEqual([done.state, done.before, done.after, done.confirmedBy], ['done', 60, 80, 'read_back']);
  const behind = await send('c2', { device: boiler, via: edge });
  assert.deepEqual([behind.state, behind.device], ['done', boiler]);
  const failed = await send('c3', { name: 'explode' });
  assert.deepEqual([failed.state, failed.code, failed.message], ['failed', 'not_found', 'no command explode']);
  assert.equal((await send('c1', {})).state, 'done');
  assert.equal((await send('c4', { device: 'plant1.pump', via: edge })).code, 'forbidden');
  assert.deepEqual(executed, [
    `c1 ${edge} set {"temperature":80}`,
    `c2 ${boiler} set {"temperature":80}`,
    `c3 ${edge} explode {"temperature":80}`,
  ]);

  const times: number[] = [];
  for (let index = 0; index < 100; index++) {
    const startMs = performance.now();
    assert.equal((await send(`t${index}`, {})).state, 'done');
    times.push(performance.now() - startMs);
  }
  times.sort((a, b) => a - b);
  t.diagnostic(`a command with its outcome: p50 ${times[50]!.toFixed(1)} ms, p99 ${times[98]!.toFixed(1)} ms`);
});
