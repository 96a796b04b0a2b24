import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { brokerImages } from './cluster-images.ts';

interface KubernetesObject {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Record<string, string> };
  /** A Secret has none. */
  readonly spec?: {
    readonly template?: { readonly spec: PodSpec };
    readonly podSelector?: { readonly matchLabels: Record<string, string> };
    readonly ingress?: readonly { readonly from: readonly { readonly podSelector: object }[] }[];
    readonly egress?: unknown;
    readonly policyTypes?: readonly string[];
  };
}

interface PodSpec {
  readonly automountServiceAccountToken: boolean;
  readonly enableServiceLinks: boolean;
  readonly securityContext: { readonly runAsNonRoot: boolean; readonly seccompProfile: { readonly type: string } };
  readonly containers: readonly {
    readonly image: string;
    readonly readinessProbe?: object;
    readonly resources: { readonly requests: { readonly cpu: string } };
    readonly securityContext: {
      readonly allowPrivilegeEscalation: boolean;
      readonly capabilities: { readonly drop: readonly string[] };
    };
  }[];
}

const folder = resolve(import.meta.dirname, '../../deploy/test-brokers');
const objects = readdirSync(folder).flatMap((file) =>
  parseAllDocuments(readFileSync(join(folder, file), 'utf8')).map((document) => document.toJS() as KubernetesObject),
);
const pods = objects.flatMap(({ spec }) => (spec?.template === undefined ? [] : [spec.template.spec]));

test('all brokers conform to "restricted", and have readiness probes', () => {
  assert.equal(pods.length, 3);
  for (const { securityContext, automountServiceAccountToken, enableServiceLinks, containers } of pods) {
    assert.equal(securityContext.runAsNonRoot, true);
    assert.equal(securityContext.seccompProfile.type, 'RuntimeDefault');
    assert.equal(automountServiceAccountToken, false);
    assert.equal(
      enableServiceLinks,
      false,
      'a Service named kafka would set KAFKA_PORT, which the image reads as a setting',
    );
    for (const container of containers) {
      assert.equal(container.securityContext.allowPrivilegeEscalation, false);
      assert.deepEqual(container.securityContext.capabilities.drop, ['ALL']);
      assert.ok(container.readinessProbe);
    }
  }
});

test('each broker has a policy by which only Tailrace connects to it, and it connects nowhere', () => {
  const policies = objects.filter(({ kind }) => kind === 'NetworkPolicy');
  assert.deepEqual(policies.map(({ metadata }) => metadata.name).sort(), ['kafka', 'nats', 'postgres']);
  for (const { metadata, spec } of policies) {
    assert.deepEqual(spec?.podSelector?.matchLabels, { 'app.kubernetes.io/name': metadata.name });
    assert.deepEqual(spec.policyTypes, ['Ingress', 'Egress']);
    assert.equal(spec.egress, undefined);
    assert.deepEqual(
      spec.ingress?.flatMap(({ from }) => from),
      [{ podSelector: { matchLabels: { 'app.kubernetes.io/name': 'tailrace' } } }],
    );
  }
});

test('the images of the manifests are loaded into a cluster without a registry', async () => {
  const named = pods.flatMap(({ containers }) => containers.map(({ image }) => image));
  assert.deepEqual((await brokerImages()).toSorted(), named.toSorted());
});
