import assert from 'node:assert/strict';
import { type Cluster, type ClusterClient, type ClusterNode, type ClusterOptions, createCluster } from './cluster.ts';

/** The appended values, by device, oldest first. */
export type Appended = ReadonlyMap<string, readonly number[]>;

const settleMs = 30_000;

/** Runs `run` with nodes and a settled ring, and closes everything after it. */
export async function withCluster(
  names: readonly string[],
  run: (cluster: Cluster, nodes: ClusterNode[]) => Promise<void>,
  seed = 1,
  options: ClusterOptions = {},
): Promise<void> {
  const cluster = await createCluster({ ...options, seed });
  const nodes: ClusterNode[] = [];
  for (const name of names) nodes.push(await cluster.node(name));
  await settle(cluster);
  try {
    await run(cluster, nodes);
  } finally {
    await cluster.close();
  }
}

/** Advances the clock beyond every lease and deadline. */
export async function settle(cluster: Cluster): Promise<void> {
  await cluster.clock.advance(settleMs);
}

/** Asserts I2 and I3 for one client: everything appended since its start, once, in the order of each device. */
export function assertWhole(client: ClusterClient, devices: readonly string[], appended: Appended): void {
  assert.deepEqual(client.errors, []);
  for (const device of devices) {
    const shown = [...client.snapshot, ...client.live].filter((seen) => seen.device === device);
    for (let i = 1; i < shown.length; i++)
      assert.ok(shown[i]!.seq > shown[i - 1]!.seq, `${device}: seq ${shown[i]!.seq} after ${shown[i - 1]!.seq}`);
    const all = appended.get(device) ?? [];
    const first = shown[0]?.value;
    assert.deepEqual(
      shown.map((seen) => seen.value),
      first === undefined ? [] : all.slice(all.indexOf(first)),
      `${device} is not complete`,
    );
    assert.equal(shown.at(-1)?.value, all.at(-1), `${device}: the last report is missing`);
  }
}

/** The reporting devices, in three lines. */
export const devices: readonly string[] = Array.from({ length: 12 }, (_, i) => `plant.line${i % 3}.m${i}`);

/** Appends reports of the devices in turn, `times` each, `stepMs` apart. */
export async function load(
  cluster: Cluster,
  appended: Map<string, number[]>,
  times: number,
  stepMs: number,
): Promise<void> {
  for (let i = 0; i < times; i++) {
    for (const device of devices) {
      const value = (appended.get(device)?.at(-1) ?? 0) + 1;
      await cluster.append(device, value);
      appended.set(device, [...(appended.get(device) ?? []), value]);
    }
    await cluster.clock.advance(stepMs);
  }
}

/** Removes a client, as a closed session does. */
export function leave(node: ClusterNode, client: ClusterClient): void {
  node.hub.unsubscribe(client.subscription!);
}

/** Asserts that without clients no node serves or holds anything for another. */
export function assertNothingLeft(nodes: readonly ClusterNode[]): void {
  for (const { name, channels, ownership } of nodes) {
    assert.equal(channels.size, 0);
    for (const { number, role, devices: kept, feed } of ownership.partitions) {
      assert.ok(feed.interests.isEmpty, `${name} still serves interest in partition ${number}`);
      if (role === 'elsewhere') assert.equal(kept.size, 0, `${name} keeps devices of partition ${number}`);
    }
  }
}
