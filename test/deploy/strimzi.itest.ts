import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { OutboxTopic } from '@tailrace/control/journal';
import { auditTopicSpec } from '@tailrace/control/topics';
import { eventsTopicSpec } from '@tailrace/eventlog/events-topic';
import { configSchema as fanoutSchema } from '@tailrace/fanout/config';
import { parseAllDocuments } from 'yaml';
import { at, type KubernetesObject, render, root, type Values } from './chart.ts';

const objectsOf = (path: string): KubernetesObject[] =>
  parseAllDocuments(readFileSync(join(root, path), 'utf8')).map((document) => document.toJS() as KubernetesObject);
const settings = fanoutSchema.parse({ tokenSecret: 'for-tests-only-for-tests-only-for-tests' });

test('the topics are those that the services create', () => {
  const topics = new Map(objectsOf('deploy/strimzi/topics.yaml').map((topic) => [topic.metadata.name, topic]));
  const telemetry = topics.get(`${settings.topicPrefix}.telemetry`);
  assert.equal(at(telemetry, 'spec.partitions'), settings.telemetryPartitions);
  const config = at(telemetry, 'spec.config') as Values;
  assert.equal(config['retention.ms'], settings.retentionMs);
  assert.equal(config['retention.bytes'], settings.retentionBytes);
  assert.equal(config['cleanup.policy'], 'delete');
  assert.equal(at(topics.get('tailrace.state'), 'spec.partitions'), settings.telemetryPartitions);
  const events = eventsTopicSpec('tailrace.events', settings.telemetryPartitions);
  assert.equal(at(topics.get(events.name), 'spec.partitions'), events.partitions);
  const eventsConfig = at(topics.get(events.name), 'spec.config') as Values;
  assert.equal(eventsConfig['retention.ms'], events.retentionMs);
  assert.equal(eventsConfig['retention.bytes'], events.retentionBytes);
  const audit = auditTopicSpec('tailrace');
  assert.equal(at(topics.get(audit.name), 'spec.partitions'), audit.partitions);
  const auditConfig = at(topics.get(audit.name), 'spec.config') as Values;
  assert.deepEqual([auditConfig['retention.ms'], auditConfig['retention.bytes']], [audit.retentionMs, -1]);
  assert.equal(at(topics.get('tailrace.alarms'), 'spec.partitions'), settings.telemetryPartitions);
  for (const name of ['tailrace.control', 'tailrace.rules', 'tailrace.devices'])
    assert.equal(at(topics.get(name), 'spec.partitions'), 1, name);
  const compacted = ['tailrace.state', 'tailrace.alarms', 'tailrace.rules', 'tailrace.devices'];
  for (const name of [...compacted, 'tailrace.control', 'tailrace.births', 'tailrace.bridges', 'tailrace.meta']) {
    assert.equal((at(topics.get(name), 'spec.config') as Values)['cleanup.policy'], 'compact', name);
  }
  assert.equal((at(topics.get('tailrace.dead-letter'), 'spec.config') as Values)['cleanup.policy'], 'delete');
});

test('control may write each topic to which its outbox moves records', () => {
  const user = objectsOf('deploy/strimzi/users.yaml').find(({ metadata }) => metadata.name === 'tailrace-control');
  const rules = at(user, 'spec.authorization.acls') as Values[];
  const outbox: Readonly<Record<OutboxTopic, true>> = {
    events: true,
    rules: true,
    devices: true,
    audit: true,
    control: true,
  };
  for (const topic of Object.keys(outbox)) {
    const rule = rules.find((each) => at(each, 'resource.name') === `tailrace.${topic}`);
    assert.ok((rule?.['operations'] as readonly string[] | undefined)?.includes('Write'), topic);
  }
});

test('values-production matches the users and brokers of deploy/strimzi', async () => {
  const { one } = await render({}, 'values-production.yaml');
  const users = objectsOf('deploy/strimzi/users.yaml').map(({ metadata }) => metadata.name);
  const kafka = objectsOf('deploy/strimzi/kafka.yaml').find(({ kind }) => kind === 'Kafka')!;
  for (const [kind, service] of [
    ['StatefulSet', 'fanout'],
    ['StatefulSet', 'alarms'],
    ['Deployment', 'ingest'],
    ['Deployment', 'control'],
  ] as const) {
    const pod = at(one(kind, `tailrace-${service}`), 'spec.template.spec');
    const password = (at(pod, 'containers.0.env') as Values[]).find(
      ({ name }) => name === 'TAILRACE_KAFKA_SASL_PASSWORD',
    );
    assert.ok(users.includes(at(password, 'valueFrom.secretKeyRef.name') as string));
    const data = one('ConfigMap', `tailrace-${service}`)['data'] as Values;
    assert.equal(data['TAILRACE_KAFKA_SASL_USERNAME'], `tailrace-${service}`);
    assert.equal(data['TAILRACE_KAFKA_SASL_MECHANISM'], at(kafka, 'spec.kafka.listeners.0.authentication.type'));
    assert.equal(
      data['TAILRACE_KAFKA_BROKERS'],
      `${kafka.metadata.name}-kafka-bootstrap:${String(at(kafka, 'spec.kafka.listeners.0.port'))}`,
    );
    const volumes = at(pod, 'volumes') as Values[];
    assert.ok(volumes.some((volume) => at(volume, 'secret.secretName') === `${kafka.metadata.name}-cluster-ca-cert`));
  }
});

test('values-production matches the database of deploy/cloudnative-pg', async () => {
  const { one } = await render({}, 'values-production.yaml');
  const [cluster] = objectsOf('deploy/cloudnative-pg/cluster.yaml');
  const name = cluster!.metadata.name;
  for (const [kind, workload] of [
    ['Deployment', 'tailrace-control'],
    ['Job', 'tailrace-control-migration'],
  ] as const) {
    const pod = at(one(kind, workload), 'spec.template.spec');
    const url = (at(pod, 'containers.0.env') as Values[]).find((entry) => entry['name'] === 'TAILRACE_DATABASE_URL');
    assert.deepEqual(at(url, 'valueFrom.secretKeyRef'), { name: `${name}-app`, key: 'uri' });
    const volumes = at(pod, 'volumes') as Values[];
    assert.ok(
      volumes.some((volume) => at(volume, 'secret.secretName') === `${name}-ca`),
      workload,
    );
  }
  const policy = JSON.stringify(one('NetworkPolicy', 'tailrace-control'));
  assert.ok(policy.includes(`"cnpg.io/cluster":"${name}"`));
});
