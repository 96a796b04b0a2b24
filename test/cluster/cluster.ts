/**
 * `make cluster-test`: on the Kubernetes cluster that KUBECONFIG names, installs the chart in a namespace of its own,
 * does to it what operators and machines do, and counts what SDK clients in the cluster saw of it, by the checker of
 * `make chaos`. Ends with 3 where it cannot run, and says why.
 */
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { issueToken } from '@tailrace/platform/token';
import { createClusterImages } from './cluster-images.ts';
import { placeFrom, whyNotHere } from './cluster-place.ts';
import { testDisruptions } from './disruptions.ts';
import { testEmbedded } from './embedded.ts';
import { testInstalled } from './installed.ts';
import { testIsolation } from './isolation.ts';
import { command, Kubectl } from './kubectl.ts';
import { testLeaving } from './leaving.ts';
import { crowdObject, namespaceObject, secretObject, strangerObject } from './objects.ts';
import { Release } from './release.ts';
import { RemoteCrowd } from './remote-crowd.ts';
import { runLabel, type Stage, strangerPort } from './stage.ts';

const cannotRun = 3;
const brokersDeadlineMs = 120_000;
const brokers = new URL('../../deploy/test-brokers', import.meta.url).pathname;

const place = placeFrom(process.env);
const why = await whyNotHere(place, process.env);
if (why !== undefined) {
  process.stderr.write(`make cluster-test cannot run here: ${why}\n`);
  process.exit(cannotRun);
}

const began = performance.now();
const say = (text: string) => process.stdout.write(`${text}\n`);
const step = (text: string) => say(`  ${text}`);
const kubectl = new Kubectl(place.namespace);
const host = new Kubectl(`${place.namespace}-host`);
const crowd = new RemoteCrowd(kubectl, 'crowd', step);
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
const stage: Stage = { place, kubectl, host, crowd, images, release, embedded, secret, step };

after(async () => {
  say(`\nWhat subscribers saw in each disruption\n\n${crowd.table()}\n`);
  if (place.keeps) say(`Left in place: namespaces ${kubectl.namespace} and ${host.namespace}`);
  else await removeNamespaces();
  say(`The run took ${Math.round((performance.now() - began) / 1000)} s.`);
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => void removeNamespaces().finally(() => process.exit(130)));
}

test('Kafka and NATS are ready, from plain manifests, in a namespace that enforces "restricted"', async () => {
  await command('kubectl', ['apply', '-f', '-'], {
    input: JSON.stringify(namespaceObject(place.namespace, 'restricted')),
  });
  const token = await issueToken({
    secret,
    subject: 'cluster-test',
    publish: ['>'],
    subscribe: ['>'],
    expiresInMs: 24 * 3_600_000,
  });
  await kubectl.apply(secretObject('keys', { 'token-secret': secret, token }));
  await kubectl.run(['apply', '-f', brokers]);
  await kubectl.rolledOut('statefulset/kafka', brokersDeadlineMs);
  await kubectl.rolledOut('deployment/nats', brokersDeadlineMs);
  await kubectl.apply(
    crowdObject('crowd', images.crowd, 'keys'),
    strangerObject('stranger', images.crowd, strangerPort),
  );
  await kubectl.run(['wait', '--for=condition=Ready', 'pod/crowd', 'pod/stranger', '--timeout=60s'], {
    deadlineMs: 70_000,
  });
});

testInstalled(stage);
testIsolation(stage);
testDisruptions(stage);
testLeaving(stage);
testEmbedded(stage);

async function createImages() {
  const startedAt = performance.now();
  const made = await createClusterImages(place);
  say(`Images ${made.version} are known to the cluster after ${Math.round((performance.now() - startedAt) / 1000)} s.`);
  return made;
}

async function removeNamespaces(): Promise<void> {
  const names = [kubectl.namespace, host.namespace];
  await command('kubectl', ['delete', 'namespace', ...names, '--ignore-not-found', '--timeout=120s'], {
    deadlineMs: 130_000,
  });
}
