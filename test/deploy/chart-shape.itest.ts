import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, leastValues, podSpecs, type Rendered, render, type Values } from './chart.ts';
import { combinations } from './combinations.ts';

const rendered = async (name: string): Promise<Rendered> => render(combinations[name]!);
const byName = (entries: unknown) => new Map((entries as Values[]).map((entry) => [entry['name'], entry]));
/** Returns the ports that a network policy allows, in order. */
const ports = (rules: unknown) =>
  (rules as Values[]).flatMap((rule) => (rule['ports'] as Values[]).map(({ protocol, port }) => `${protocol} ${port}`));
const environment = (workload: unknown) => byName(at(workload, 'spec.template.spec.containers.0.env'));

test('what an autoscaler sets is left out, so that an upgrade does not reset it', async () => {
  const scaled = await rendered('autoscaling on CPU and connections');
  assert.equal(at(scaled.one('StatefulSet', 'tailrace-fanout'), 'spec.replicas'), undefined);
  assert.equal(at(scaled.one('Deployment', 'tailrace-ingest'), 'spec.replicas'), undefined);
  assert.equal(at(scaled.one('Deployment', 'tailrace-dashboard'), 'spec.replicas'), 1);
  const metrics = at(scaled.one('HorizontalPodAutoscaler', 'tailrace-fanout'), 'spec.metrics') as Values[];
  assert.equal(at(metrics[1], 'pods.metric.name'), 'tailrace_fanout_connections');
  assert.equal(at(metrics[1], 'pods.target.averageValue'), '10000');
  const least = await render(leastValues);
  assert.equal(at(least.one('StatefulSet', 'tailrace-fanout'), 'spec.replicas'), 2);
  assert.equal(least.all('HorizontalPodAutoscaler').length, 0);
});

test('each node has a Service and a name of its own, for as many nodes as there may be', async () => {
  const { one, all } = await rendered('autoscaling on CPU and connections');
  for (let ordinal = 0; ordinal < 5; ordinal += 1) {
    const name = `tailrace-fanout-${ordinal}`;
    const service = one('Service', name);
    assert.equal(at(service, 'spec.selector')?.['statefulset.kubernetes.io/pod-name' as never], name);
    assert.equal(at(service, 'spec.publishNotReadyAddresses'), true);
  }
  assert.ok(!all('Service').some(({ metadata }) => metadata.name === 'tailrace-fanout-5'));
  const hosts = (at(one('Ingress', 'tailrace-fanout'), 'spec.rules') as Values[]).map((rule) => rule['host']);
  const nodes = [0, 1, 2, 3, 4].map((ordinal) => `tailrace-fanout-${ordinal}.streams.example.org`);
  assert.deepEqual(hosts, ['streams.example.org', ...nodes]);
});

test('a node has an address by which clients reach it', async () => {
  const url = async (name: string) =>
    (
      environment((await rendered(name)).one('StatefulSet', 'tailrace-fanout')).get('TAILRACE_PUBLIC_URL') as
        | Values
        | undefined
    )?.['value'];
  assert.equal(await url('least'), 'ws://$(TAILRACE_NODE).tailrace-fanout-nodes.default.svc:8081');
  assert.equal(await url('ingress with an address for each node'), 'wss://$(TAILRACE_NODE).streams.example.org');
  assert.equal(await url('autoscaling on CPU and connections'), 'ws://$(TAILRACE_NODE).streams.example.org');
  const own = await render({ ...leastValues, fanout: { publicUrl: 'wss://example.org/{node}' } });
  const entry = environment(own.one('StatefulSet', 'tailrace-fanout')).get('TAILRACE_PUBLIC_URL') as Values;
  assert.equal(entry['value'], 'wss://example.org/$(TAILRACE_NODE)');
  // Clients outside cannot reach an address inside: there is none.
  const one = await render({ ...leastValues, hosts: { streams: 'a.example' }, ingress: { enabled: true } });
  assert.equal(environment(one.one('StatefulSet', 'tailrace-fanout')).get('TAILRACE_PUBLIC_URL'), undefined);
});

test('a gateway has no timeout for streams, and one for everything else', async () => {
  const { all } = await rendered('routes of the Gateway API');
  const routes = all('HTTPRoute').map((route) => [
    at(route, 'spec.hostnames.0'),
    at(route, 'spec.rules.0.timeouts.request'),
  ]);
  assert.deepEqual(Object.fromEntries(routes), {
    'streams.example.org': '0s',
    'tailrace-fanout-0.streams.example.org': '0s',
    'tailrace-fanout-1.streams.example.org': '0s',
    'ingest.example.org': '60s',
    'control.example.org': '60s',
    'plant.example.org': '60s',
  });
});

test('ingest with certificates of devices has a port with TLS in its pods, Service and network policy, and no route to it', async () => {
  const { one, all } = await rendered('certificates of devices');
  const container = at(one('Deployment', 'tailrace-ingest'), 'spec.template.spec.containers.0') as Values;
  const names = (ports: unknown) => (ports as Values[]).map(({ name }) => name);
  assert.deepEqual(names(container['ports']), ['ingest', 'ingest-tls', 'internal']);
  const mounts = (container['volumeMounts'] as Values[]).map(({ mountPath }) => mountPath);
  assert.deepEqual(mounts, ['/etc/tailrace/device-tls', '/etc/tailrace/device-ca', '/etc/tailrace/device-crl']);
  assert.deepEqual(names(at(one('Service', 'tailrace-ingest'), 'spec.ports')), ['ingest', 'ingest-tls']);
  const allowed = at(one('NetworkPolicy', 'tailrace-ingest'), 'spec.ingress') as Values[];
  assert.ok(allowed.some((rule) => JSON.stringify(rule['ports']).includes('8443')));
  assert.ok(!JSON.stringify(all('Ingress')).includes('8443'));
});

test('MQTT has a port with TLS in the pods and a Service of its own for a load balancer of layer 4', async () => {
  const { one, all } = await rendered('devices by MQTT');
  const container = at(one('Deployment', 'tailrace-ingest'), 'spec.template.spec.containers.0') as Values;
  const names = (ports: unknown) => (ports as Values[]).map(({ name }) => name);
  assert.deepEqual(names(container['ports']), ['ingest', 'ingest-tls', 'mqtt-tls', 'internal']);
  const service = one('Service', 'tailrace-ingest-mqtt');
  assert.deepEqual(at(service, 'spec.ports'), [{ name: 'mqtt-tls', port: 8883, targetPort: 'mqtt-tls' }]);
  assert.equal(at(service, 'spec.type'), 'LoadBalancer');
  assert.equal(at(service, 'spec.externalTrafficPolicy'), 'Local');
  assert.deepEqual(at(service, 'spec.selector'), at(one('Service', 'tailrace-ingest'), 'spec.selector'));
  const allowed = at(one('NetworkPolicy', 'tailrace-ingest'), 'spec.ingress') as Values[];
  assert.ok(allowed.some((rule) => JSON.stringify(rule['ports']).includes('8883')));
  assert.ok(!JSON.stringify(all('Ingress')).includes('8883'));
});

test('the network policies allow only the necessary connections', async () => {
  const { one, all } = await rendered('everything observed');
  const fanout = one('NetworkPolicy', 'tailrace-fanout');
  assert.deepEqual(at(fanout, 'spec.policyTypes'), ['Ingress', 'Egress']);
  assert.deepEqual(ports(at(fanout, 'spec.ingress')), ['TCP 8081', 'TCP 9090']);
  assert.deepEqual(ports(at(fanout, 'spec.egress')), [
    'UDP 53',
    'TCP 53',
    'TCP 9092',
    'TCP 4222',
    'TCP 443',
    'TCP 4318',
  ]);
  // Both have the same brokers.
  const ingest = one('NetworkPolicy', 'tailrace-ingest');
  assert.deepEqual(at(ingest, 'spec.egress'), at(fanout, 'spec.egress'));
  const dashboard = one('NetworkPolicy', 'tailrace-dashboard');
  assert.deepEqual(ports(at(dashboard, 'spec.egress')), ['UDP 53', 'TCP 53', 'TCP 4318']);
  for (const policy of all('NetworkPolicy')) {
    // A Job has no metrics.
    if (policy.metadata.name.endsWith('-migration')) continue;
    const internal = (at(policy, 'spec.ingress') as Values[]).filter((rule) => ports([rule]).includes('TCP 9090'));
    assert.equal(internal.length, 1);
    assert.ok((internal[0]!['from'] as unknown[]).length > 0, 'metrics are not public');
  }
});

test('control is installed with a database, and a Job of its image migrates that before anything changes', async () => {
  const least = await render(leastValues);
  assert.deepEqual(
    least.objects.filter(({ metadata }) => metadata.name.includes('control')),
    [],
  );
  const { one, objects } = await rendered('control with a database');
  const page = one('ConfigMap', 'tailrace-dashboard')['data'] as Values;
  assert.equal(page['TAILRACE_CONTROL_URL'], 'http://control.example.org');
  const url = { name: 'store-app', key: 'uri' };
  const control = one('Deployment', 'tailrace-control');
  assert.deepEqual(at(environment(control).get('TAILRACE_DATABASE_URL'), 'valueFrom.secretKeyRef'), url);
  const job = one('Job', 'tailrace-control-migration');
  const container = at(job, 'spec.template.spec.containers.0') as Values;
  assert.equal(container['image'], at(control, 'spec.template.spec.containers.0.image'));
  assert.deepEqual([container['args'], container['envFrom']], [['migrate'], undefined]);
  assert.deepEqual(at(environment(job).get('TAILRACE_DATABASE_URL'), 'valueFrom.secretKeyRef'), url);
  // Helm deletes no hook that has failed, and an uninstall neither.
  assert.equal(at(job, 'spec.ttlSecondsAfterFinished'), 3_600);
  assert.equal(job.metadata.annotations?.['helm.sh/hook-delete-policy'], 'before-hook-creation,hook-succeeded');
  // The ServiceAccount of the release does not exist yet, and no policy of the release allows the connection.
  assert.equal(at(job, 'spec.template.spec.serviceAccountName'), undefined);
  const hooks = objects.filter(({ metadata }) => metadata.annotations?.['helm.sh/hook'] === 'pre-install,pre-upgrade');
  const weights = hooks.map(({ kind, metadata }) => [kind, metadata.annotations?.['helm.sh/hook-weight']]);
  assert.deepEqual(weights.toSorted(), [
    ['Job', '-1'],
    ['NetworkPolicy', '-2'],
  ]);
  const component = at(job, 'spec.template.metadata.labels') as Values;
  const selected = at(one('NetworkPolicy', 'tailrace-control-migration'), 'spec.podSelector.matchLabels') as Values;
  for (const [key, value] of Object.entries(selected)) assert.equal(component[key], value);
  const egress = ports(at(one('NetworkPolicy', 'tailrace-control'), 'spec.egress'));
  for (const port of ['TCP 5432', 'TCP 443', 'TCP 587']) assert.ok(egress.includes(port), port);
});

test('a database by TLS has its certificates in the pods of control, and none in others', async () => {
  const { one, all } = await rendered('control with a database by TLS, migrated by itself');
  assert.equal(all('Job').length, 0);
  const control = one('Deployment', 'tailrace-control');
  const key = (name: string) => at(environment(control).get(name), 'valueFrom.secretKeyRef.key');
  assert.deepEqual(['TAILRACE_DATABASE_URL', 'TAILRACE_DATABASE_PASSWORD'].map(key), ['url', 'password']);
  const mounts = at(control, 'spec.template.spec.containers.0.volumeMounts') as Values[];
  const folders = mounts.map(({ mountPath }) => mountPath);
  const settings = one('ConfigMap', 'tailrace-control')['data'] as Values;
  const files = Object.entries(settings).filter(([name]) => /^TAILRACE_DATABASE_TLS_.*_FILE$/.test(name));
  assert.equal(files.length, 3);
  for (const [name, path] of files)
    assert.ok(
      folders.some((folder) => `${path}`.startsWith(`${folder}/`)),
      name,
    );
  assert.ok(ports(at(one('NetworkPolicy', 'tailrace-control'), 'spec.egress')).includes('TCP 6432'));
  assert.ok(!JSON.stringify(one('StatefulSet', 'tailrace-fanout')).includes('database'));
});

test('secrets are references: no object contains one except that of a trial', async () => {
  const { one, all } = await rendered('brokers by TLS and login');
  assert.equal(all('Secret').length, 0);
  const fanout = one('StatefulSet', 'tailrace-fanout');
  const variables = environment(fanout);
  assert.deepEqual(at(variables.get('TAILRACE_KAFKA_SASL_PASSWORD'), 'valueFrom.secretKeyRef'), {
    name: 'tailrace',
    key: 'password',
  });
  assert.deepEqual(at(variables.get('TAILRACE_NATS_PASSWORD'), 'valueFrom.secretKeyRef'), {
    name: 'nats-login',
    key: 'password',
  });
  assert.deepEqual(at(variables.get('TAILRACE_TOKEN_SECRET'), 'valueFrom.secretKeyRef'), {
    name: 'tailrace-keys',
    key: 'token-secret',
  });
  const settings = one('ConfigMap', 'tailrace-fanout')['data'] as Values;
  assert.equal(settings['TAILRACE_KAFKA_TLS'], 'true');
  assert.equal(settings['TAILRACE_KAFKA_SASL_MECHANISM'], 'scram-sha-512');
  assert.equal(settings['TAILRACE_KAFKA_SASL_USERNAME'], 'tailrace');
  const mounts = new Map(
    (at(fanout, 'spec.template.spec.containers.0.volumeMounts') as Values[]).map(({ name, mountPath }) => [
      name,
      mountPath,
    ]),
  );
  const files = Object.entries(settings).filter(([key]) => key.endsWith('_FILE'));
  assert.equal(files.length, 4);
  for (const [, path] of files)
    assert.ok(
      [...mounts.values()].some((folder) => (path as string).startsWith(`${folder}/`)),
      String(path),
    );
  assert.deepEqual(
    at(environment(one('Deployment', 'tailrace-ingest')).get('TAILRACE_NATS_PASSWORD'), 'valueFrom.secretKeyRef'),
    { name: 'nats-login', key: 'password' },
  );
  assert.ok(!JSON.stringify(one('Deployment', 'tailrace-dashboard')).includes('NATS'));
  assert.ok(!JSON.stringify(one('Deployment', 'tailrace-dashboard')).includes('tailrace-keys'));
});

test("a release's name is part of every object's name once", async () => {
  const own = await render(leastValues, undefined, 'plant');
  own.one('StatefulSet', 'plant-tailrace-fanout');
  const same = await render(leastValues, undefined, 'my-tailrace');
  same.one('StatefulSet', 'my-tailrace-fanout');
});

test('values-embedded is one pod with a volume and a key, without dependencies', async () => {
  const embedded = await render({}, 'values-embedded.yaml');
  assert.deepEqual(
    podSpecs(embedded).map(({ name }) => name),
    ['StatefulSet tailrace-standalone', 'Pod tailrace-test'],
  );
  const secret = at(embedded.one('Secret', 'tailrace-auth'), 'data.token-secret') as string;
  assert.equal(Buffer.from(secret, 'base64').length, 48);
  const policy = embedded.one('NetworkPolicy', 'tailrace-standalone');
  assert.deepEqual(ports(at(policy, 'spec.ingress')).slice(0, 4), ['TCP 8087', 'TCP 8080', 'TCP 8082', 'TCP 8081']);
  const routed = await render(
    { ingress: { enabled: true }, hosts: { control: 'c.example.org' } },
    'values-embedded.yaml',
  );
  const backend = at(routed.one('Ingress', 'tailrace-standalone'), 'spec.rules.0.http.paths.0.backend.service');
  assert.deepEqual(backend, { name: 'tailrace-standalone', port: { number: 8087 } });
  const settings = routed.one('ConfigMap', 'tailrace-standalone')['data'] as Values;
  assert.equal(settings['TAILRACE_CONTROL_URL'], 'http://c.example.org');
  assert.equal((at(policy, 'spec.egress') as unknown[]).length, 1);
});

test('values-test fits a small machine', async () => {
  const { objects } = await render({}, 'values-test.yaml');
  const cpus = objects
    .filter(({ kind }) => kind === 'StatefulSet' || kind === 'Deployment')
    .map(
      (object) =>
        Number(at(object, 'spec.replicas')) *
        Number.parseInt(at(object, 'spec.template.spec.containers.0.resources.requests.cpu') as string, 10),
    );
  assert.ok(cpus.reduce((sum, cpu) => sum + cpu, 0) <= 1000, `requests are ${cpus.join(' + ')} m`);
});
