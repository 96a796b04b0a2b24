import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '@tailrace/platform/config';
import { serviceSchemas } from '../../scripts/service-schemas.ts';
import { at, type Rendered, render, type Values, valuesFiles } from './chart.ts';
import { combinations } from './combinations.ts';

const schemas = new Map((await serviceSchemas()).map(({ name, schema }) => [name, schema]));

/** Returns a value of the form that the setting must have. */
const secretOf = (name: string) =>
  name === 'TAILRACE_DATABASE_URL' ? 'postgres://tailrace@store-rw:5432/tailrace' : 'secret'.repeat(8);

/** Returns the environment of a pod's process, with placeholders for secrets. */
function environmentOf({ one }: Rendered, workload: Values): Record<string, string> {
  const container = at(workload, 'spec.template.spec.containers.0');
  const settings = one('ConfigMap', at(container, 'envFrom.0.configMapRef.name') as string)['data'] as Record<
    string,
    string
  >;
  const variables = (at(container, 'env') as Values[]).map((entry) => [
    entry['name'],
    'value' in entry ? entry['value'] : at(entry, 'valueFrom.fieldRef') ? 'pod-0' : secretOf(`${entry['name']}`),
  ]);
  const { TAILRACE_CONFIG: _, ...own } = Object.fromEntries(variables) as Record<string, string>;
  return { ...settings, ...own };
}

for (const [name, values, file] of [
  ...valuesFiles.map((path) => [path, {}, path] as const),
  ...Object.entries(combinations).map(([name, values]) => [name, values, undefined] as const),
]) {
  test(`every service accepts its settings, and its grace period is longer than its drain: ${name}`, async () => {
    const rendered = await render(values, file);
    const workloads = [...rendered.all('StatefulSet'), ...rendered.all('Deployment')];
    assert.ok(workloads.length > 0);
    for (const workload of workloads) {
      const service = at(workload, 'spec.template.spec.containers.0.name') as string;
      const schema = schemas.get(service);
      assert.ok(schema, `${service} is no service of the tree`);
      const config: Values = loadConfig(schema, { env: environmentOf(rendered, workload), args: [] });
      const spans = ['drainMs', 'handoverMs'].map((key) => (config[key] as number | undefined) ?? 0);
      const grace = at(workload, 'spec.template.spec.terminationGracePeriodSeconds') as number;
      assert.ok(grace >= Math.max(...spans) / 1000 + 8, `${service}: ${grace} s for ${spans.join(', ')} ms`);
      // Probes and ports of the chart are those on which the process listens.
      const ports = (at(workload, 'spec.template.spec.containers.0.ports') as Values[]).map(
        (port) => port['containerPort'],
      );
      assert.ok(config['internalPort'] === 9090 && ports.includes(9090), service);
      if (typeof config['port'] === 'number') assert.ok(ports.includes(config['port']), service);
      if (config['mqttEnabled']) {
        const isOpen = (key: string) => ports.includes(config[key] as number);
        assert.deepEqual(
          [isOpen('mqttPort'), isOpen('mqttTlsPort')],
          [config['mqttPlain'], config['tlsCertFile'] !== ''],
        );
      }
      if (config['tlsCertFile']) assert.ok(ports.includes(config['tlsPort'] as number), service);
    }
  });
}
