import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { serviceNames } from '../../scripts/services.ts';
import {
  at,
  chartFolder,
  containers,
  helmOutput,
  leastValues,
  podSpecs,
  render,
  root,
  type Values,
  valuesFiles,
} from './chart.ts';
import { combinations } from './combinations.ts';

const everyInstallation = await Promise.all([
  ...valuesFiles.map(async (file) => ({ name: file, ...(await render({}, file)) })),
  ...Object.entries(combinations).map(async ([name, values]) => ({ name, ...(await render(values)) })),
]);

test('helm lint finds nothing, with every values file', async () => {
  for (const file of valuesFiles) {
    const output = await helmOutput(['lint', '--strict', chartFolder, '--values', join(chartFolder, file)]);
    assert.match(output, /0 chart\(s\) failed/);
    assert.doesNotMatch(output, /WARNING|ERROR/, file);
  }
});

test('the chart has the version of the product', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const chart = readFileSync(join(chartFolder, 'Chart.yaml'), 'utf8');
  assert.match(chart, new RegExp(`^version: ${version}$`, 'm'));
  assert.match(chart, new RegExp(`^appVersion: ['"]?${version}['"]?$`, 'm'));
});

test('every service has a template and a section in the values, under its own name', async () => {
  const services = serviceNames();
  assert.ok(services.length >= 5);
  const values = readFileSync(join(chartFolder, 'values.yaml'), 'utf8');
  for (const service of services) {
    assert.ok(existsSync(join(chartFolder, 'templates', `${service}.yaml`)), `no template of ${service}`);
    assert.match(values, new RegExp(`^${service}:$`, 'm'));
  }
});

test('every pod conforms to "restricted", and has no token of Kubernetes', () => {
  for (const installation of everyInstallation) {
    const pods = podSpecs(installation);
    assert.ok(pods.length > 0);
    for (const { name, spec } of pods) {
      const where = `${installation.name}: ${name}`;
      assert.equal(at(spec, 'securityContext.runAsNonRoot'), true, where);
      assert.equal(at(spec, 'securityContext.seccompProfile.type'), 'RuntimeDefault', where);
      assert.equal(spec['automountServiceAccountToken'], false, where);
      assert.equal(spec['enableServiceLinks'], false, where);
      for (const volume of (spec['volumes'] as Values[] | undefined) ?? []) assert.ok(!('hostPath' in volume), where);
      for (const container of containers(spec)) {
        assert.equal(at(container, 'securityContext.allowPrivilegeEscalation'), false, where);
        assert.equal(at(container, 'securityContext.readOnlyRootFilesystem'), true, where);
        assert.deepEqual(at(container, 'securityContext.capabilities.drop'), ['ALL'], where);
        assert.ok(at(container, 'resources.requests.cpu'), where);
        assert.ok(at(container, 'resources.limits.memory'), where);
      }
    }
  }
});

test('every pod of a service has probes of /livez and /readyz, and no preStop hook', () => {
  for (const installation of everyInstallation) {
    for (const { name, spec } of podSpecs(installation).filter((pod) => !/^(Pod|Job) /.test(pod.name))) {
      const where = `${installation.name}: ${name}`;
      const container = (spec['containers'] as Values[])[0]!;
      assert.equal(at(container, 'startupProbe.httpGet.path'), '/livez', where);
      assert.equal(at(container, 'livenessProbe.httpGet.path'), '/livez', where);
      assert.equal(at(container, 'readinessProbe.httpGet.path'), '/readyz', where);
      assert.equal(container['lifecycle'], undefined, where);
    }
  }
});

test('no two objects of a kind have one name', () => {
  for (const { name, objects } of everyInstallation) {
    const names = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    assert.deepEqual(names, [...new Set(names)], name);
  }
});

test('the grace period grows with the drain', async () => {
  const grace = async (config: Values) => {
    const rendered = await render({ ...leastValues, fanout: { config } });
    return at(rendered.one('StatefulSet', 'tailrace-fanout'), 'spec.template.spec.terminationGracePeriodSeconds');
  };
  // handoverMs 8,000 is the larger by default: 8 s, 3 s and 5 s for the parts after it, 10 s for a busy machine.
  assert.equal(await grace({}), 26);
  assert.equal(await grace({ drainMs: 60_000 }), 78);
  assert.equal(await grace({ handoverMs: 20_000 }), 38);
});

test('a pod is replaced when its settings change, and only then', async () => {
  const checksum = async (values: Values, kind: string, name: string) =>
    at(
      (await render({ ...leastValues, ...values })).one(kind, name),
      'spec.template.metadata.annotations.checksum/config',
    );
  const before = await checksum({}, 'StatefulSet', 'tailrace-fanout');
  assert.notEqual(await checksum({ fanout: { config: { flushMs: 50 } } }, 'StatefulSet', 'tailrace-fanout'), before);
  assert.notEqual(await checksum({ config: { topicPrefix: 'other' } }, 'StatefulSet', 'tailrace-fanout'), before);
  assert.equal(
    await checksum({ ingest: { config: { retryAfterMs: 5000 } } }, 'StatefulSet', 'tailrace-fanout'),
    before,
  );
  assert.equal(await checksum({ ingest: { replicas: 5 } }, 'StatefulSet', 'tailrace-fanout'), before);
});

test('settings reach the environment as the services read them', async () => {
  const { one } = await render({
    ...leastValues,
    config: { topicPrefix: 'site', telemetryPartitions: 24, logLevel: 'warn' },
    fanout: {
      config: {
        retentionBytes: 10_737_418_240,
        origins: ['https://a.example', 'https://b.example'],
        staleFactor: 2.5,
        logLevel: 'debug',
      },
    },
  });
  const fanout = one('ConfigMap', 'tailrace-fanout')['data'] as Values;
  assert.equal(fanout['TAILRACE_RETENTION_BYTES'], '10737418240');
  assert.equal(fanout['TAILRACE_ORIGINS'], 'https://a.example,https://b.example');
  assert.equal(fanout['TAILRACE_STALE_FACTOR'], '2.5');
  assert.equal(fanout['TAILRACE_KAFKA_BROKERS'], 'kafka:9092');
  assert.equal(fanout['TAILRACE_TOPIC_PREFIX'], 'site');
  assert.equal(fanout['TAILRACE_TELEMETRY_PARTITIONS'], '24');
  assert.equal(fanout['TAILRACE_LOG_LEVEL'], 'debug', "a service's own setting is above the one for all");
  const dashboard = one('ConfigMap', 'tailrace-dashboard')['data'] as Values;
  assert.equal(dashboard['TAILRACE_LOG_LEVEL'], 'warn');
  assert.equal(dashboard['TAILRACE_TOPIC_PREFIX'], undefined, 'a service gets no unknown setting');
});

test('rules and dashboards are in the chart unchanged', async () => {
  const { all } = everyInstallation.find(({ name }) => name === 'everything observed')!;
  const { parse } = await import('yaml');
  const ruleFiles = globSync('rules/*.yaml', { cwd: chartFolder }).filter((path) => !path.endsWith('.test.yaml'));
  const specs = all('PrometheusRule').map((object) => object['spec']);
  assert.equal(specs.length, ruleFiles.length);
  for (const path of ruleFiles) {
    const rules: unknown = parse(readFileSync(join(chartFolder, path), 'utf8'));
    assert.ok(
      specs.some((spec) => JSON.stringify(spec) === JSON.stringify(rules)),
      path,
    );
  }
  const dashboards = globSync('dashboards/*.json', { cwd: chartFolder });
  const held = all('ConfigMap').filter(({ metadata }) => metadata.labels?.['grafana_dashboard'] === '1');
  assert.equal(held.length, dashboards.length);
  for (const path of dashboards) {
    const file = path.split('/').at(-1)!;
    const data = held.map((object) => (object['data'] as Values)[file]).find((text) => text !== undefined);
    assert.deepEqual(JSON.parse(data as string), JSON.parse(readFileSync(join(chartFolder, path), 'utf8')), path);
  }
});
