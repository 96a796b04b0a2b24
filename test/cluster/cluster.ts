/**
 * `make cluster-test`: installs the chart in a namespace of the Kubernetes cluster of KUBECONFIG, disrupts it as
 * operators and failures do, and checks what SDK clients in the cluster received, by the checker of `make chaos`. Exits
 * with 3 where it cannot run, and prints why.
 */
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { issueToken } from '@tailrace/platform/token';
import { type ClusterFixture, runLabel, strangerPort } from './cluster-fixture.ts';
import { createClusterImages } from './cluster-images.ts';
import { placeFrom, whyNotHere } from './cluster-place.ts';
import { testDeciding } from './deciding.ts';
import { testDisruptions } from './disruptions.ts';
import { testEmbedded } from './embedded.ts';
import { testInstalled } from './installed.ts';
import { testIsolation } from './isolation.ts';
import { command, Kubectl } from './kubectl.ts';
import { testLeaving } from './leaving.ts';
import { clientsObject, namespaceObject, secretObject, strangerObject } from './objects.ts';
import { Release } from './release.ts';
import { RemoteClients } from './remote-clients.ts';

const cannotRun = 3;
const brokersDeadlineMs = 120_000;
const brokers = new URL('../../deploy/test-brokers', import.meta.url).pathname;

const place = placeFrom(process.env);
const why = await whyNotHere(place, process.env);
if (why !== undefined) {
  process.stderr.write(`make cluster-test cannot run here: ${why}\n`);
  process.exit(cannotRun);
}

const startedAtMs = performance.now();
const print = (text: string) => process.stdout.write(`${text}\n`);
const step = (text: string) => print(`  ${text}`);
const kubectl = new Kubectl(place.namespace);
const host = new Kubectl(`${place.namespace}-host`);
const clients = new RemoteClients(kubectl, 'clients', step);
await removeNamespaces();
const images = await createImages();
const secret = randomBytes(32).toString('base64url');
const common = [
  `image.registry=${place.registry}`,
  `image.pullPolicy=${place.registry === '' ? 'IfNotPresent' : 'Always'}`,
];
const release = await Release.create({
  name: 'tailrace',
  namespace: place.namespace,
  values: 'values-test.yaml',
  settings: [
    ...common,
    'auth.tokenSecret=',
    'auth.existingSecret=keys',
    'ingest.replicas=2',
    `commonLabels.${runLabel}=${place.namespace}`,
  ],
});
const embedded = await Release.create({
  name: 'demo',
  namespace: place.namespace,
  values: 'values-embedded.yaml',
  settings: common,
});
const fixture: ClusterFixture = { place, kubectl, host, clients, images, release, embedded, secret, step };

after(async () => {
  print(`\nClients in each disruption\n\n${clients.table()}\n`);
  if (place.keeps) print(`Left in place: namespaces ${kubectl.namespace} and ${host.namespace}`);
  else await removeNamespaces();
  print(`The run took ${Math.round((performance.now() - startedAtMs) / 1000)} s.`);
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => void removeNamespaces().finally(() => process.exit(130)));
}

test('Kafka, NATS and PostgreSQL are ready, from plain manifests, in a namespace that enforces "restricted"', async () => {
  await command('kubectl', ['apply', '-f', '-'], {
    input: JSON.stringify(namespaceObject(place.namespace, 'restricted')),
  });
  const token = await issueToken({
    secret,
    subject: 'cluster-test',
    publish: ['>'],
    subscribe: ['>'],
    command: ['>'],
    receiveCommands: ['>'],
    roles: ['auditor'],
    expiresInMs: 24 * 3_600_000,
  });
  await kubectl.apply(secretObject('keys', { 'token-secret': secret, token }));
  await kubectl.run(['apply', '-f', brokers]);
  await kubectl.rolledOut('statefulset/kafka', brokersDeadlineMs);
  await kubectl.rolledOut('deployment/nats', brokersDeadlineMs);
  await kubectl.rolledOut('statefulset/postgres', brokersDeadlineMs);
  await kubectl.apply(
    clientsObject('clients', images.clients, 'keys'),
    strangerObject('stranger', images.clients, strangerPort),
  );
  await kubectl.run(['wait', '--for=condition=Ready', 'pod/clients', 'pod/stranger', '--timeout=60s'], {
    deadlineMs: 70_000,
  });
});

testInstalled(fixture);
testIsolation(fixture);
testDeciding(fixture);
testDisruptions(fixture);
testLeaving(fixture);
testEmbedded(fixture);

async function createImages() {
  const startedAt = performance.now();
  const made = await createClusterImages(place);
  print(
    `Images ${made.version} are available to the cluster after ${Math.round((performance.now() - startedAt) / 1000)} s.`,
  );
  return made;
}

async function removeNamespaces(): Promise<void> {
  const names = [kubectl.namespace, host.namespace];
  await command('kubectl', ['delete', 'namespace', ...names, '--ignore-not-found', '--timeout=120s'], {
    deadlineMs: 130_000,
  });
}
