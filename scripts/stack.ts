/**
 * `make stack NODES=3`: real Kafka and NATS by the broker ladder, and the services as processes of their own. Logs and endpoints.json in the
 * data folder. Ctrl-C stops all; so does the end of this process, however it comes.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, open } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '@tailrace/platform/clock';
import { removeEndpoints, writeEndpoints } from '@tailrace/platform/endpoints';
import { issueToken } from '@tailrace/platform/token';
import { isTailraceError, TailraceError } from '@tailrace/protocol/error';
import { startKafka } from '@tailrace/testkit/kafka';
import { startNats } from '@tailrace/testkit/nats';
import { type Supervised, startSupervised } from '@tailrace/testkit/supervised';

const root = resolve(import.meta.dirname, '..');
const readyDeadlineMs = 60_000;

interface Running {
  readonly name: string;
  stop(): Promise<unknown>;
}

const running: Running[] = [];
let stopping: Promise<void> | undefined;

function stopAll(): Promise<void> {
  stopping ??= (async () => {
    await removeEndpoints(options.data);
    // The last started goes first: services before the brokers they need.
    for (const each of running.reverse()) await each.stop();
  })();
  return stopping;
}

const options = optionsFrom(process.argv.slice(2));
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => void stopAll().then(() => process.exit(0)));
try {
  await start();
} catch (thrown) {
  const message = isTailraceError(thrown) ? thrown.message : String(thrown);
  process.stderr.write(`The stack cannot start: ${message}\n`);
  await stopAll();
  process.exit(1);
}

function optionsFrom(args: readonly string[]): { nodes: number; data: string; portBase: number } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      nodes: { type: 'string', default: '3' },
      data: { type: 'string', default: 'data/stack' },
      'port-base': { type: 'string', default: '8080' },
    },
  });
  const number = (name: string, text: string, min: number, max: number) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    process.stderr.write(`${name}=${text}: right is a whole number from ${min} to ${max}\n`);
    process.exit(1);
  };
  return {
    nodes: number('NODES', values.nodes, 1, 16),
    data: resolve(root, values.data),
    portBase: number('PORT_BASE', values['port-base'], 1024, 64_000),
  };
}

async function start(): Promise<void> {
  const { data, nodes, portBase } = options;
  await mkdir(data, { recursive: true });
  say('Starting Kafka and NATS …');
  const [kafka, nats] = await Promise.all([
    startKafka({ dataDir: join(data, 'kafka'), log: join(data, 'kafka.log') }),
    startNats({ dataDir: join(data, 'nats'), log: join(data, 'nats.log') }),
  ]);
  running.push({ name: 'kafka', stop: () => kafka.stop() }, { name: 'nats', stop: () => nats.stop() });

  const secret = randomBytes(32).toString('base64url');
  const token = await issueToken({
    secret,
    subject: 'stack',
    publish: ['>'],
    subscribe: ['>'],
    expiresInMs: 30 * 24 * 3_600_000,
    clock: systemClock,
  });
  const common = {
    TAILRACE_HOST: '127.0.0.1',
    TAILRACE_INTERNAL_HOST: '127.0.0.1',
    TAILRACE_LOG_LEVEL: process.env['TAILRACE_LOG_LEVEL'],
  };
  const log = { TAILRACE_KAFKA_BROKERS: kafka.brokers.join(','), TAILRACE_TOKEN_SECRET: secret };
  say('Starting the services …');
  const ingest = await service('ingest', 'services/ingest/src/main.ts', portBase + 2, { ...common, ...log });
  const fanout = await Promise.all(
    Array.from({ length: nodes }, (_, i) =>
      service(`fanout-${i}`, 'services/fanout/src/main.ts', portBase + 20 + i, {
        ...common,
        ...log,
        TAILRACE_NATS_SERVERS: nats.url,
        TAILRACE_NODE: `fanout-${i}`,
        TAILRACE_DRAIN_MS: '500',
      }),
    ),
  );
  const streamUrl = (port: number) => `ws://127.0.0.1:${port}`;
  const dashboard = await service('dashboard', 'services/dashboard/server/main.ts', portBase, {
    ...common,
    TAILRACE_STREAM_URL: streamUrl(fanout[0]!.port),
    TAILRACE_DEMO_TOKEN: token,
  });
  await service('simulator', 'services/simulator/src/main.ts', portBase + 3, {
    ...common,
    TAILRACE_HOST: undefined,
    TAILRACE_PORT: undefined,
    TAILRACE_INGEST_URL: ingest.url,
    TAILRACE_TOKEN: token,
  });

  await writeEndpoints(data, {
    kafka: { brokers: kafka.brokers, ...pidOf(kafka) },
    nats: { url: nats.url, ...pidOf(nats) },
    ingest: [{ url: ingest.url, internal: ingest.internal, pid: ingest.process.pid }],
    fanout: fanout.map((node) => ({
      name: node.name,
      url: streamUrl(node.port),
      internal: node.internal,
      pid: node.process.pid,
    })),
    dashboard: { url: dashboard.url },
    token,
  });
  say(`
Tailrace runs as ${nodes} fanout nodes on real Kafka and NATS.

  dashboard   ${dashboard.url}
  ingest      ${ingest.url}/v1/ingest
${fanout.map((node) => `  ${node.name}    ${streamUrl(node.port)}`).join('\n')}
  kafka       ${kafka.brokers.join(',')} (${kafka.rung})
  nats        ${nats.url} (${nats.rung})
  logs, endpoints.json (with a token) in ${options.data}

Ctrl-C stops all of it.`);
}

function pidOf(broker: { readonly pid: number | undefined }): { pid?: number } {
  return broker.pid === undefined ? {} : { pid: broker.pid };
}

interface Service {
  readonly name: string;
  readonly port: number;
  readonly url: string;
  readonly internal: string;
  readonly process: Supervised;
}

/** Starts a service, its internal port 1010 above its own, and waits until it says that it is ready. */
async function service(name: string, script: string, port: number, settings: NodeJS.ProcessEnv): Promise<Service> {
  const log = join(options.data, `${name}.log`);
  // A log of its own for each run.
  await (await open(log, 'w')).close();
  const internal = `http://127.0.0.1:${port + 1010}`;
  const child = await startSupervised({
    command: process.execPath,
    args: [join(root, script)],
    env: {
      ...process.env,
      TAILRACE_PORT: String(port),
      TAILRACE_INTERNAL_PORT: String(port + 1010),
      ...settings,
    },
    cwd: root,
    output: { file: log },
  });
  running.push({ name, stop: () => child.stop({ deadlineMs: 15_000 }) });
  await ready(name, internal, child, log);
  return { name, port, url: `http://127.0.0.1:${port}`, internal, process: child };
}

async function ready(name: string, internal: string, child: Supervised, log: string): Promise<void> {
  const deadline = systemClock.monotonic() + readyDeadlineMs;
  let last = 'it did not answer';
  while (systemClock.monotonic() < deadline) {
    if (stopping !== undefined) throw new TailraceError('closed', 'stopped');
    if (child.exit() !== undefined) throw new TailraceError('unavailable', `${name} ended; see ${log}`);
    try {
      const answer = await fetch(`${internal}/readyz`, { signal: AbortSignal.timeout(2_000) });
      if (answer.ok) return;
      last = await answer.text();
    } catch {
      // Not listening yet.
    }
    await systemClock.sleep(50);
  }
  throw new TailraceError('timeout', `${name} was not ready within ${readyDeadlineMs} ms: ${last}; see ${log}`);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
