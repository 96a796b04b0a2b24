/**
 * `make stack NODES=3`: runs real Kafka, NATS and PostgreSQL by the broker sources of the testkit, and the services as
 * processes of their own. Logs and endpoints.json are in the data folder. Ctrl-C, or any other exit of this process,
 * stops all.
 */
import { rm } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { removeEndpoints, writeEndpoints } from '@tailrace/platform/endpoints';
import { writeWholeFile } from '@tailrace/platform/whole-file';
import { isTailraceError } from '@tailrace/protocol/error';
import { seedDemo } from '@tailrace/standalone/demo-seed';
import { linesToTry } from '@tailrace/standalone/greeting';
import { integerArgument } from './integer-argument.ts';
import { StackCluster } from './stack-cluster.ts';

const root = resolve(import.meta.dirname, '..');
/** Few clients watch a stack that runs by hand, and Ctrl-C should not take long. */
const drainMs = 500;
/** As in `make demo`. */
const mqttOffset = 4;
const options = optionsFrom(process.argv.slice(2));
const tokenFile = join(options.data, 'token');
const supervisorFile = join(options.data, 'token.supervisor');
const cluster = new StackCluster({
  ...{ ...options, keepsData: true, drainMs, print: print },
  ingestSettings: { TAILRACE_MQTT_ENABLED: 'true', TAILRACE_MQTT_PORT: String(options.portBase + mqttOffset) },
  onServiceExit: ({ name, log }, { code, signal }) =>
    print(
      `${name} exited with ${signal === null ? `code ${code}` : signal}; see ${log}. To start it again: Ctrl-C, then make stack`,
    ),
});
let stopping: Promise<void> | undefined;

function stopAll(): Promise<void> {
  stopping ??= (async () => {
    // Those of another stack, which uses the folder, stay.
    if (cluster.holdsData) {
      await removeEndpoints(options.data);
      for (const file of [tokenFile, supervisorFile]) await rm(file, { force: true });
    }
    await cluster.stop();
  })();
  return stopping;
}

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
  return {
    nodes: integerArgument('NODES', values.nodes, 1, 16),
    data: resolve(root, values.data),
    portBase: integerArgument('PORT_BASE', values['port-base'], 1024, 64_000),
  };
}

async function start(): Promise<void> {
  await cluster.start();
  const { kafka, nats, ingest, fanout, token, supervisorToken } = cluster;
  const streamUrl = (port: number) => `ws://127.0.0.1:${port}`;
  const [alarms, control] = await Promise.all([cluster.startAlarms(), cluster.startControl()]);
  // What it lacks is added by the next start.
  await seedDemo({ url: control.url, secret: cluster.tokenSecret }).catch((error: unknown) =>
    print(`The rules, scenes and schedules of the demo were not created: ${String(error)}`),
  );
  const { postgres, databaseUrl } = cluster;
  const dashboard = await cluster.service('dashboard', 'services/dashboard/server/main.ts', 0, {
    TAILRACE_STREAM_URL: fanout.map(({ port }) => streamUrl(port)).join(','),
    TAILRACE_PUBLIC_INGEST_URL: ingest.url,
    TAILRACE_CONTROL_URL: control.url,
    TAILRACE_DEMO_TOKEN: token,
  });
  await cluster.service('simulator', 'services/simulator/src/main.ts', 3, {
    TAILRACE_HOST: undefined,
    TAILRACE_PORT: undefined,
    TAILRACE_INGEST_URL: ingest.url,
    TAILRACE_TOKEN: token,
  });

  await writeWholeFile(tokenFile, `${token}\n`);
  await writeWholeFile(supervisorFile, `${supervisorToken}\n`);
  await writeEndpoints(options.data, {
    kafka: { brokers: kafka.brokers, ...pidOf(kafka) },
    nats: { url: nats.url, ...pidOf(nats) },
    postgres: { url: databaseUrl, ...pidOf(postgres) },
    ingest: [{ url: ingest.url, internal: ingest.internal, pid: ingest.pid }],
    fanout: fanout.map(({ name, port, internal, pid }) => ({ name, url: streamUrl(port), internal, pid })),
    alarms: [{ internal: alarms.internal, pid: alarms.pid }],
    control: { url: control.url, internal: control.internal, pid: control.pid },
    dashboard: { url: dashboard.url },
    device: { url: `${ingest.url.replace('http', 'ws')}/v1/device` },
    mqtt: { url: `mqtt://127.0.0.1:${options.portBase + mqttOffset}` },
    ...{ token, supervisorToken },
  });
  print(`
Tailrace runs as ${options.nodes} fanout nodes on real Kafka and NATS, with control on PostgreSQL.

  dashboard   ${dashboard.url}
  ingest      ${ingest.url}/v1/ingest
  control     ${control.url}/v1/docs
  mqtt        mqtt://127.0.0.1:${options.portBase + mqttOffset}
${fanout.map((node) => `  ${node.name.padEnd(11)} ${streamUrl(node.port)}`).join('\n')}
  kafka       ${kafka.brokers.join(',')} (${kafka.source})
  nats        ${nats.url} (${nats.source})
  postgres    ${postgres.host}:${postgres.port} (${postgres.source})
  logs, endpoints.json and token in ${options.data};
  token.supervisor there is that of a second person

Metrics:

${[ingest, ...fanout, alarms, control, dashboard].map(({ name, internal }) => `  ${name.padEnd(11)} ${internal}/metrics`).join('\n')}

${linesToTry({ dashboard: dashboard.url, streams: streamUrl(fanout[0]!.port), ingest: ingest.url }, relative(process.cwd(), tokenFile))}

Ctrl-C stops all of it.`);
}

function pidOf(broker: { readonly pid: number | undefined }): { pid?: number } {
  return broker.pid === undefined ? {} : { pid: broker.pid };
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
