import assert from 'node:assert/strict';
import { access, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { createMemoryNetwork } from '@tailrace/bus/memory';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { anyCommandSubject, outcomeSubject } from '@tailrace/protocol/command-subject';
import {
  type CommandOutcome,
  type DeviceCommand,
  decodeCommandRequest,
  encodeCommandOutcome,
} from '@tailrace/protocol/device-command';
import { CommandSocket } from '@tailrace/standalone/command-socket';
import { CommandClient } from '@tailrace/testkit/command-client';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { connectCommandSocket } from '../scripts/command-socket-bus.ts';

failOnLeaks();

test('a requester in another process sends commands over a socket of the file system, and receives their outcomes', async (t) => {
  const dir = await createTempDir('command-socket');
  t.after(() => dir.remove());
  const path = join(dir.path, 'commands.sock');
  const network = createMemoryNetwork({ clock: systemClock });
  const [bus, ingest] = ['standalone', 'ingest'].map((node) => network.createBus({ node, logger: silentLogger }));
  await Promise.all([bus!.start(), ingest!.start()]);
  t.after(() => Promise.all([bus!.close(), ingest!.close()]));
  await ingest!.serve(anyCommandSubject, (payload) => {
    const request = decodeCommandRequest(payload);
    const isCancel = 'cancel' in request;
    const { id, device } = isCancel ? request.cancel : 'query' in request ? request.query : request.command;
    const outcome = (state: CommandOutcome['state']): Uint8Array =>
      encodeCommandOutcome({
        ...{ id, device, state, time: 1, node: 'ingest', session: 1, attempt: 0, message: '', holder: '' },
      });
    if ('command' in request)
      for (const state of ['delivered', 'done'] as const) ingest!.publish(outcomeSubject(device), outcome(state));
    return [outcome(isCancel ? 'failed' : 'accepted')];
  });
  const socket = new CommandSocket({ path, bus: bus!, logger: silentLogger });
  await socket.start();
  t.after(() => socket.stop());
  assert.equal((await stat(path)).mode & 0o777, 0o600);

  const { bus: remote, close } = await connectCommandSocket(path);
  const client = new CommandClient(remote, systemClock);
  await client.start();
  const states: string[] = [];
  const command: DeviceCommand = {
    ...{ id: 'c1', device: 'a.b', name: 'start', params: { speed: 3 }, qos: 1, deadline: Date.now() + 10_000 },
    ...{ issued: 0, fence: 0, session: 0, subject: '', traceparent: '', via: '' },
  };
  for await (const { state } of client.send(command)) states.push(state);
  // What is published before the reply comes first, and `accepted` is skipped.
  assert.deepEqual(states, ['delivered', 'done']);
  assert.equal((await client.cancel('c2', 'a.b'))?.state, 'failed');
  await close();

  const raw = connect(path);
  const lines = createInterface({ input: raw })[Symbol.asyncIterator]();
  raw.write('no JSON\n{"command":{"id":""}}\n{}\n');
  for (let count = 0; count < 3; count++) {
    const line = (await lines.next()).value as string;
    assert.equal(JSON.parse(line).error.code, 'invalid_message', line);
  }
  raw.write('x'.repeat(20_000));
  assert.equal(JSON.parse((await lines.next()).value as string).error.code, 'too_large');
  assert.equal((await lines.next()).done, true, 'it is closed');
  raw.destroy();
  await socket.stop();
  await assert.rejects(access(path));
});

test('an installation starts without the socket where the system refuses its path', async () => {
  const network = createMemoryNetwork({ clock: systemClock });
  const bus = network.createBus({ node: 'standalone', logger: silentLogger });
  const warnings: string[] = [];
  const logger = { ...silentLogger, warn: (_facts: unknown, text: string) => void warnings.push(text) };
  const socket = new CommandSocket({ path: `/tmp/${'x'.repeat(200)}/commands.sock`, bus, logger });
  await socket.start();
  await socket.stop();
  assert.equal(warnings.length, 1);
  await bus.close();
});
