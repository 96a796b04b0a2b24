import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deviceName } from '../chaos/fleet.ts';
import type { ClientsReached } from './client-requests.ts';
import { type ClusterFixture, releaseLabel, rolloutMs } from './cluster-fixture.ts';
import { isReady } from './kubectl.ts';

const intervalMs = 250;
/** Two clients for each device, to check that they are on the same node. */
const clientsPerDevice = 2;
const movedDeadlineMs = 30_000;

/** Prints the user and the writable folders of a container. */
const insideCode = `const { writeFileSync, existsSync } = require('node:fs');
const writable = ['/', '/app/', '/tmp/', '/etc/', '/data/', process.cwd() + '/'].filter((folder) => {
  try { writeFileSync(folder + 'probe', ''); return true; } catch { return false; }
});
process.stdout.write(JSON.stringify({ uid: process.getuid(), writable, hasToken: existsSync('/var/run/secrets/kubernetes.io/serviceaccount/token') }));`;

export function testInstalled(fixture: ClusterFixture): void {
  const { kubectl, release, clients, place, step } = fixture;

  test('the chart installs: all pods are ready under "restricted", nothing in them can be written to', async () => {
    await assert.rejects(
      kubectl.run(['run', 'refused', '--image=none', '--privileged']),
      /violates PodSecurity "restricted/,
      'the cluster enforces it',
    );
    const startedAt = performance.now();
    await release.upgrade([], rolloutMs);
    const pods = await kubectl.pods(releaseLabel);
    step(`${pods.length} pods are ready after ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
    assert.ok(pods.length >= 8, 'two fanout nodes, ingest, alarms, two of control, dashboard, simulator');
    for (const pod of pods) {
      const { name } = pod.metadata;
      assert.ok(isReady(pod), name);
      assert.equal(pod.status.containerStatuses?.[0]?.restartCount, 0, `${name} did not restart`);
      const inside = JSON.parse(await kubectl.node(name, insideCode)) as object;
      assert.deepEqual(inside, { uid: 1000, writable: [], hasToken: false }, name);
    }
  });

  test('helm test publishes a reading and receives it', async () => {
    assert.match(await release.test(rolloutMs), /Phase: +Succeeded/);
  });

  test('devices publish and clients watch through the Services', async () => {
    const url = (service: string, port: number) => `${service}.${place.namespace}.svc:${port}`;
    const reached = await clients.open({
      clients: place.clients,
      devices: place.clients / clientsPerDevice,
      intervalMs,
      streamUrl: `ws://${url('tailrace-fanout', 8081)}`,
      ingestUrl: `http://${url('tailrace-ingest', 8082)}`,
    });
    const nodes = new Set(reached.seen.map(({ nodeNow }) => nodeNow));
    step(`${place.clients} clients are live on ${[...nodes].join(', ')}`);
    assert.deepEqual([...nodes].sort(), ['tailrace-fanout-0', 'tailrace-fanout-1'], 'the Service spreads them');
  });

  test('clients are sent `moved` and go to the owner of their device', async () => {
    const giveUpAt = performance.now() + movedDeadlineMs;
    for (;;) {
      const reached = await clients.reach();
      const moves = reached.seen.reduce((sum, seen) => sum + seen.moves, 0);
      const apart = apartOf(reached);
      if (apart.length === 0 && moves > 0) {
        step(`${moves} moves; the clients of each device are together`);
        for (const [why, count] of reached.losses) step(`${count} × ${why}`);
        return;
      }
      assert.ok(performance.now() < giveUpAt, `${moves} moves; apart are the clients of ${apart.join(', ')}`);
    }
  });
}

/** Returns the devices whose clients are on different nodes. Clients of several devices are not checked. */
function apartOf({ seen }: ClientsReached): string[] {
  const nodes = new Map<string, string>();
  const apart = new Set<string>();
  for (const [i, { nodeNow }] of seen.entries()) {
    if (i % 5 === 0) continue;
    const device = deviceName(i % (seen.length / clientsPerDevice));
    const other = nodes.get(device) ?? nodeNow;
    if (other !== nodeNow) apart.add(device);
    nodes.set(device, nodeNow);
  }
  return [...apart];
}
