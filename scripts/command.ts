/**
 * `make command`: sends a command to a device of a running `make demo` or `make stack`, and prints each of its outcomes
 * as a line of JSON. The exit code is 0 for done, 3 for failed, 4 for expired, 5 for unconfirmed, and 1 for an error.
 * `--device`, `--via gateway`, `--name`, `--params '{"speed":3}'`, `--seconds 10`, `--qos 1`, `--id` (default: random),
 * `--data folder`.
 */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import type { Bus } from '@tailrace/bus/bus';
import { createNatsBus } from '@tailrace/bus/nats';
import { systemClock } from '@tailrace/platform/clock';
import type { Endpoints } from '@tailrace/platform/endpoints';
import { silentLogger } from '@tailrace/platform/logger';
import { deviceCommandFromJson } from '@tailrace/protocol/device-command-json';
import { isTailraceError } from '@tailrace/protocol/error';
import { CommandClient } from '@tailrace/testkit/command-client';
import { connectCommandSocket } from './command-socket-bus.ts';
import { integerArgument } from './integer-argument.ts';

const exitCodes = { done: 0, failed: 3, expired: 4, unconfirmed: 5 } as const;

const { values } = parseArgs({
  options: {
    device: { type: 'string', default: '' },
    name: { type: 'string', default: '' },
    params: { type: 'string', default: '{}' },
    seconds: { type: 'string', default: '10' },
    qos: { type: 'string', default: '1' },
    id: { type: 'string', default: randomUUID() },
    data: { type: 'string' },
    via: { type: 'string', default: '' },
  },
});
const params = paramsFrom(values.params);
const seconds = integerArgument('SECONDS', values.seconds, 1, 86_400);
for (const [variable, value] of [
  ['DEVICE', values.device],
  ['NAME', values.name],
] as const) {
  if (value === '') fail(`${variable}: expected one, as in DEVICE=plant1.line2.press1 NAME=start, got none`);
}
const qos = integerArgument('QOS', values.qos, 0, 2);
try {
  const endpoints = await endpointsOf(values.data === undefined ? ['data/stack', 'data/demo'] : [values.data]);
  const { bus, close } = await busOf(endpoints);
  try {
    process.exitCode = await send(bus);
  } finally {
    await close();
  }
} catch (thrown) {
  fail(isTailraceError(thrown) ? thrown.message : String(thrown));
}

async function send(bus: Pick<Bus, 'request' | 'subscribe'>): Promise<number> {
  const { device, name, id, via } = values;
  const issued = systemClock.now();
  const deadline = issued + seconds * 1_000;
  const command = deviceCommandFromJson({
    ...{ id, device, via, name, params, qos, issued, deadline, subject: userInfo().username },
  });
  const client = new CommandClient(bus, systemClock);
  await client.start();
  let code = 1;
  for await (const outcome of client.send(command)) {
    process.stdout.write(`${JSON.stringify(outcome)}\n`);
    const { state } = outcome;
    if (state !== 'accepted' && state !== 'delivered') code = exitCodes[state];
  }
  await client.stop();
  return code;
}

function paramsFrom(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return fail(`PARAMS: expected a JSON object in single quotes, as in '{"speed":3}', got ${text}`);
  }
}

async function endpointsOf(folders: readonly string[]): Promise<Endpoints> {
  for (const folder of folders) {
    try {
      const endpoints = JSON.parse(await readFile(join(folder, 'endpoints.json'), 'utf8')) as Endpoints;
      if (isRunning(endpoints)) return endpoints;
    } catch {
      // Not of this installation.
    }
  }
  return fail(`expected endpoints.json of a running make demo or make stack in ${folders.join(' or ')}, found none`);
}

/** Whether a process of the installation is there: one that was killed has left its file. */
function isRunning({ ingest, fanout, nats }: Endpoints): boolean {
  return [...ingest, ...fanout, ...(nats === undefined ? [] : [nats])].some(({ pid = 0 }) => {
    try {
      return pid > 0 && process.kill(pid, 0);
    } catch {
      return false;
    }
  });
}

interface OpenBus {
  readonly bus: Pick<Bus, 'request' | 'subscribe'>;
  close(): Promise<void>;
}

async function busOf({ nats, commands }: Endpoints): Promise<OpenBus> {
  if (commands !== undefined) return connectCommandSocket(commands.socket);
  if (nats === undefined) return fail('the installation has neither NATS nor a socket for commands');
  const bus = createNatsBus({ servers: [nats.url], name: 'command', connectTimeoutMs: 5_000, logger: silentLogger });
  await bus.start();
  return { bus, close: () => bus.close() };
}

function fail(sentence: string): never {
  process.stderr.write(`command: ${sentence}\n`);
  process.exit(1);
}
