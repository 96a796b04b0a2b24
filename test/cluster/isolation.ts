import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Door, knock } from './doors.ts';
import { releaseLabel, type Stage, strangerPort } from './stage.ts';

export function testIsolation({ kubectl, place }: Stage): void {
  const service = (name: string, port: number, open: boolean): Door => ({
    name,
    host: `${name}.${place.namespace}.svc`,
    port,
    open,
  });

  test('a foreign pod gets to the public ports, and to no other: not to 9090, Kafka, NATS', async () => {
    const pods = await kubectl.pods(releaseLabel);
    const internal = pods.map(({ metadata: { name }, status: { podIP = '' } }) => ({
      name: `the internal port of ${name}`,
      host: podIP,
      port: 9090,
      open: false,
    }));
    const wrong = await knock(kubectl, 'stranger', [
      service('tailrace-fanout', 8081, true),
      service('tailrace-ingest', 8082, true),
      service('tailrace-dashboard', 8080, true),
      service('kafka', 9092, false),
      service('nats', 4222, false),
      ...internal,
    ]);
    assert.deepEqual(wrong, []);
  });

  test('our pods get to what they need, and nowhere else: not to the API server, not to other pods', async () => {
    const api = await apiServer();
    const { podIP = '' } = (await kubectl.pod('stranger')).status;
    const stranger = { name: 'a foreign pod', host: podIP, port: strangerPort };
    // Without this a port that nobody listens at would look closed by policy.
    assert.deepEqual(await knock(kubectl, 'crowd', [opened(api), opened(stranger)]), []);
    const needs = { fanout: ['kafka', 'nats'], ingest: ['kafka'], dashboard: [] as string[] };
    const wrong: string[] = [];
    let asked = 0;
    for (const [component, needed] of Object.entries(needs)) {
      for (const { metadata, status } of await kubectl.pods(
        `${releaseLabel},app.kubernetes.io/component=${component}`,
      )) {
        const doors = [
          service('kafka', 9092, needed.includes('kafka')),
          service('nats', 4222, needed.includes('nats')),
          { ...stranger, open: false },
        ];
        // "Traffic to and from the node where a Pod is running is always allowed":
        // https://kubernetes.io/docs/concepts/services-networking/network-policies/
        if (!api.nodes.includes(status.hostIP ?? '')) {
          doors.push({ ...api, open: false });
          asked++;
        }
        wrong.push(...(await knock(kubectl, metadata.name, doors)));
      }
    }
    assert.deepEqual(wrong, []);
    assert.ok(asked > 0, 'a pod of ours is on another node than the API server');
  });

  async function apiServer(): Promise<Omit<Door, 'open'> & { readonly nodes: readonly string[] }> {
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

function opened(door: Omit<Door, 'open'>): Door {
  return { ...door, open: true };
}
