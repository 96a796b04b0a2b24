import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { systemClock } from '@tailrace/platform/clock';
import { issueToken } from '@tailrace/platform/token';
import { type NatsServer, startNats } from '@tailrace/testkit/nats';
import { inFolder, type KafkaListeners, openKafkaListeners, users } from '../packages/eventlog/test/kafka-listeners.ts';
import { allow } from '../packages/eventlog/test/kafka-tools.ts';
import { StackService } from '../scripts/stack-service.ts';
import { kafkaRightsOf, natsRights } from './broker-rights.ts';
import { freePortBase } from './ports.ts';
import { createWatcher } from './watcher.ts';

/**
 * The services with brokers as in production: TLS, a user for each service, and authorization.
 */
const natsPassword = 'nats-secret';
const tokenSecret = randomBytes(32).toString('base64url');
let listeners: KafkaListeners;
let nats: NatsServer;
let portBase: number;
const running: { stop(): Promise<void> }[] = [];

before(async () => {
  listeners = await openKafkaListeners();
  running.push({ stop: () => listeners.close() });
  const { certFile, keyFile } = await listeners.authority.issue('nats');
  const config = inFolder(listeners, 'nats.conf');
  const permissions = JSON.stringify(await natsRights());
  await writeFile(
    config,
    `tls { cert_file: "${certFile}", key_file: "${keyFile}" }
     authorization { users: [ { user: fanout, password: "${natsPassword}", permissions: ${permissions} } ] }`,
  );
  nats = await startNats({ args: ['-c', config], env: { ...process.env, TAILRACE_TEST_NATS: '' } });
  running.push(nats);
  portBase = await freePortBase();
});

after(async () => {
  for (const each of running.toReversed()) await each.stop();
});

function serviceOf(kind: 'ingest' | 'fanout', name: string, offset: number, settings: NodeJS.ProcessEnv): StackService {
  const service = new StackService({
    name,
    script: `services/${kind}/src/main.ts`,
    port: portBase + offset,
    data: listeners.folder,
    settings: {
      TAILRACE_HOST: '127.0.0.1',
      TAILRACE_INTERNAL_HOST: '127.0.0.1',
      TAILRACE_NODE: name,
      TAILRACE_TOKEN_SECRET: tokenSecret,
      TAILRACE_KAFKA_BROKERS: listeners.broker.listeners['LOGIN'],
      TAILRACE_KAFKA_TLS: 'true',
      TAILRACE_KAFKA_TLS_CA_FILE: listeners.authority.caFile,
      TAILRACE_KAFKA_SASL_MECHANISM: 'scram-sha-512',
      TAILRACE_KAFKA_SASL_USERNAME: kind,
      TAILRACE_KAFKA_SASL_PASSWORD: users[kind],
      TAILRACE_START_DEADLINE_MS: '5000',
      ...natsSettings(),
      ...(kind === 'fanout' ? { TAILRACE_PUBLIC_URL: 'ws://127.0.0.1', TAILRACE_DRAIN_MS: '0' } : {}),
      ...settings,
    },
  });
  running.push(service);
  return service;
}

function natsSettings(): NodeJS.ProcessEnv {
  return {
    TAILRACE_NATS_SERVERS: nats.url.replace('127.0.0.1', 'localhost'),
    TAILRACE_NATS_TLS: 'true',
    TAILRACE_NATS_TLS_CA_FILE: listeners.authority.caFile,
    TAILRACE_NATS_USERNAME: 'fanout',
    TAILRACE_NATS_PASSWORD: natsPassword,
  };
}

/** Resolves with the last error of a service that cannot start. */
async function refusal(service: StackService): Promise<string> {
  await assert.rejects(service.start(), /exited; see/);
  const last = (await readFile(service.log, 'utf8')).trim().split('\n').at(-1)!;
  return (JSON.parse(last) as { message: string }).message;
}

test('without rights a service cannot start, and logs why', async () => {
  const without = await refusal(serviceOf('ingest', 'ingest-without-rights', 0, {}));
  assert.match(without, /^ingest cannot start: .*TOPIC_AUTHORIZATION_FAILED; .*ACLs of Kafka$/);
  const wrong = { TAILRACE_KAFKA_SASL_PASSWORD: 'wrong' };
  assert.match(
    await refusal(serviceOf('ingest', 'ingest-wrong-password', 0, wrong)),
    /^ingest cannot start: .*Kafka at 127\.0\.0\.1:\d+ answered .*check kafkaSaslUsername, kafkaSaslPassword/,
  );
  const missing = { TAILRACE_KAFKA_TLS_CA_FILE: '/nowhere/ca.crt' };
  assert.match(
    await refusal(serviceOf('ingest', 'ingest-missing-file', 0, missing)),
    /^ingest cannot start: .*kafkaTlsCaFile .*"\/nowhere\/ca\.crt" does not exist/,
  );
});

test('with the rights of deploy/strimzi only, a report gets from ingest to clients of both nodes', async () => {
  for (const user of ['ingest', 'fanout'] as const) await allow(listeners.broker, user, await kafkaRightsOf(user));
  // Three start at once.
  const patient = { TAILRACE_START_DEADLINE_MS: '25000' };
  const ingest = serviceOf('ingest', 'ingest', 2, patient);
  const nodes = [serviceOf('fanout', 'fanout-0', 20, patient), serviceOf('fanout', 'fanout-1', 21, patient)];
  await Promise.all([ingest, ...nodes].map((service) => service.start()));
  const token = await issueToken({
    secret: tokenSecret,
    subject: 'test',
    publish: ['>'],
    subscribe: ['>'],
    expiresInMs: 3_600_000,
    clock: systemClock,
  });
  const watchers = await Promise.all(nodes.map(({ url }) => createWatcher({ url, token, channel: 'plant.>' })));
  const devices = Array.from({ length: 40 }, (_, n) => `plant.machine${n}`);
  const answer = await fetch(`${ingest.url}/v1/ingest`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(devices.map((device) => ({ device, time: Date.now(), readings: [{ tag: 'n', value: 7 }] }))),
  });
  assert.equal(answer.status, 202, await answer.text());
  for (const watcher of watchers) {
    await watcher.until(devices.length, 20_000);
    for (const device of devices) assert.deepEqual(watcher.values(device), [7]);
    watcher.close();
  }
  for (const node of nodes) await node.end('SIGTERM');
  for (const { log } of [ingest, ...nodes]) {
    assert.doesNotMatch(await readFile(log, 'utf8'), /AUTHORIZATION_FAILED|may not|-secret/i);
  }
});
