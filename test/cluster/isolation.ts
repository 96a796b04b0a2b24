import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClusterFixture, releaseLabel, strangerPort } from './cluster-fixture.ts';
import { type Endpoint, probeEndpoints } from './endpoints.ts';

export function testIsolation({ kubectl, place }: ClusterFixture): void {
  const service = (name: string, port: number, open: boolean): Endpoint => ({
    name,
    host: `${name}.${place.namespace}.svc`,
    port,
    open,
  });

  test('another pod connects to the public ports only: not to 9090, Kafka, NATS, PostgreSQL', async () => {
    const pods = await kubectl.pods(releaseLabel);
    const internal = pods.map(({ metadata: { name }, status: { podIP = '' } }) => ({
      name: `the internal port of ${name}`,
      host: podIP,
      port: 9090,
      open: false,
    }));
    const wrong = await probeEndpoints(kubectl, 'stranger', [
      service('tailrace-fanout', 8081, true),
      service('tailrace-ingest', 8082, true),
      service('tailrace-dashboard', 8080, true),
      service('tailrace-control', 8085, true),
      service('postgres', 5432, false),
      service('kafka', 9092, false),
      service('nats', 4222, false),
      ...internal,
    ]);
    assert.deepEqual(wrong, []);
  });

  test('pods of the chart connect to what they need only: not to the API server, not to other pods', async () => {
    const api = await apiServer();
    const { podIP = '' } = (await kubectl.pod('stranger')).status;
    const stranger = { name: 'another pod', host: podIP, port: strangerPort };
    // Proves that the ports are open, so that a policy and not a missing listener closes them.
    assert.deepEqual(await probeEndpoints(kubectl, 'clients', [expectedOpen(api), expectedOpen(stranger)]), []);
    const brokers = ['kafka', 'nats'];
    const needs = { fanout: brokers, ingest: brokers, control: [...brokers, 'postgres'], dashboard: [] as string[] };
    const wrong: string[] = [];
    let probed = 0;
    for (const [component, needed] of Object.entries(needs)) {
      for (const { metadata, status } of await kubectl.pods(
        `${releaseLabel},app.kubernetes.io/component=${component}`,
      )) {
        const endpoints = [
          service('kafka', 9092, needed.includes('kafka')),
          service('nats', 4222, needed.includes('nats')),
          service('postgres', 5432, needed.includes('postgres')),
          { ...stranger, open: false },
        ];
        // "Traffic to and from the node where a Pod is running is always allowed":
        // https://kubernetes.io/docs/concepts/services-networking/network-policies/
        if (!api.nodes.includes(status.hostIP ?? '')) {
          endpoints.push({ ...api, open: false });
          probed++;
        }
        wrong.push(...(await probeEndpoints(kubectl, metadata.name, endpoints)));
      }
    }
    assert.deepEqual(wrong, []);
    assert.ok(probed > 0, 'a pod of the chart is on another node than the API server');
  });

  async function apiServer(): Promise<Omit<Endpoint, 'open'> & { readonly nodes: readonly string[] }> {
    const { spec } = await kubectl.json<{ spec: { clusterIP: string } }>([
      'get',
      'service',
      'kubernetes',
      '-n',
      'default',
    ]);
    const nodes = await kubectl.run([
      'get',
      'endpointslices',
      '-n',
      'default',
      '-l',
      'kubernetes.io/service-name=kubernetes',
      '-o',
      'jsonpath={.items[*].endpoints[*].addresses[*]}',
    ]);
    return { name: 'the API server', host: spec.clusterIP, port: 443, nodes: nodes.split(' ') };
  }
}

function expectedOpen(endpoint: Omit<Endpoint, 'open'>): Endpoint {
  return { ...endpoint, open: true };
}
