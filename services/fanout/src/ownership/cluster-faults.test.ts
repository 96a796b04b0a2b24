import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClusterClient, type ClusterNode, createCluster, randomFrom } from '../../test/cluster.ts';
import { assertNothingLeft, assertWhole, devices, leave, settle } from '../../test/cluster-load.ts';

/** More of them find more: TAILRACE_SEEDS=1-1000. */
const [firstSeed = 1, lastSeed = 25] = (process.env['TAILRACE_SEEDS'] ?? '1-25').split('-').map(Number);
const stepsMax = 60;

interface Watching {
  readonly node: ClusterNode;
  readonly channel: string;
  readonly client: ClusterClient;
}

/** A cluster to which things happen by chance, the same for the same seed. */
class Run {
  readonly random: () => number;
  readonly appended = new Map<string, number[]>();
  readonly happened: string[] = [];
  nodes: ClusterNode[] = [];
  watching: Watching[] = [];
  readonly #cluster: Awaited<ReturnType<typeof createCluster>>;
  #isolated: string | undefined;
  #paused: ClusterNode | undefined;
  #joined = 0;

  constructor(cluster: Awaited<ReturnType<typeof createCluster>>, seed: number) {
    this.#cluster = cluster;
    this.random = randomFrom(seed * 7919);
  }

  pick<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.random() * choices.length)]!;
  }

  async join(name: string): Promise<void> {
    this.nodes.push(await this.#cluster.node(name));
  }

  async step(): Promise<void> {
    const chance = this.random();
    const node = this.pick(this.nodes);
    if (chance < 0.35) this.#watch(node);
    else if (chance < 0.5) this.#leave();
    else if (chance < 0.6) this.#addFaults();
    else if (chance < 0.65) this.#note('no faults', () => this.#cluster.setNetworkFaults({}));
    else if (chance < 0.7) this.#isolateOrHeal(node.name);
    else if (chance < 0.74 && this.nodes.length > 2) await this.#stop(node);
    else if (chance < 0.78 && this.#joined < 3) {
      const name = `n${++this.#joined}`;
      this.happened.push(`${name} joins`);
      await this.join(name);
    } else if (chance < 0.81 && this.nodes.length > 2) this.#crash(node);
    else if (chance < 0.86) this.#pauseOrResume(node);
    await this.load(Math.floor(this.random() * 4), this.random() < 0.3 ? 0 : Math.floor(this.random() * 300));
  }

  /** Reports of most devices, `times` each. */
  async load(times: number, stepMs: number, share = 0.7): Promise<void> {
    for (let i = 0; i < times; i++) {
      for (const device of devices) {
        if (this.random() >= share) continue;
        const values = this.appended.get(device) ?? [];
        values.push((values.at(-1) ?? 0) + 1);
        this.appended.set(device, values);
        await this.#cluster.append(device, values.at(-1)!);
      }
      await this.#cluster.clock.advance(stepMs);
    }
  }

  /** Nothing is wrong from here on. */
  async calm(): Promise<void> {
    this.#cluster.setNetworkFaults({});
    if (this.#isolated !== undefined) this.#cluster.heal(this.#isolated);
    this.#paused?.resume();
    await this.load(3, 1_000);
    await this.load(1, 0, 1);
    await settle(this.#cluster);
  }

  #note(what: string, act: () => void): void {
    this.happened.push(what);
    act();
  }

  #watch(node: ClusterNode): void {
    const subtree = this.random() < 0.3 ? 'plant.>' : `plant.line${Math.floor(this.random() * 3)}.>`;
    const channel = this.random() < 0.5 ? subtree : this.pick(devices);
    this.#note(`${channel} on ${node.name}`, () => this.watching.push({ node, channel, client: node.client(channel) }));
  }

  #leave(): void {
    const [gone] = this.watching.splice(Math.floor(this.random() * this.watching.length), 1);
    if (gone !== undefined) this.#note(`no ${gone.channel} on ${gone.node.name}`, () => leave(gone.node, gone.client));
  }

  #addFaults(): void {
    const { random } = this;
    const faults = {
      delayMs: { min: 0, max: Math.floor(random() * 60) },
      loss: random() < 0.5 ? 0.15 : 0,
      duplication: random() * 0.1,
      reordering: { probability: random() < 0.3 ? 0.1 : 0, byMs: 80 },
    };
    this.#note(JSON.stringify(faults), () => this.#cluster.setNetworkFaults(faults));
  }

  #isolateOrHeal(name: string): void {
    const before = this.#isolated;
    // One that is paused is isolated already.
    if (before === undefined && this.#paused?.name === name) return;
    this.#isolated = before === undefined ? name : undefined;
    if (before === undefined) this.#note(`${name} is isolated`, () => this.#cluster.isolate(name));
    else this.#note(`${before} is back`, () => this.#cluster.heal(before));
  }

  #pauseOrResume(node: ClusterNode): void {
    const before = this.#paused;
    if (before !== undefined) {
      this.#paused = undefined;
      this.#note(`${before.name} goes on`, () => before.resume());
    } else if (this.#isolated !== node.name) {
      this.#paused = node;
      this.#note(`${node.name} is paused`, () => node.pause());
    }
  }

  #crash(node: ClusterNode): void {
    if (this.#isolated === node.name) this.#isolateOrHeal(node.name);
    if (this.#paused === node) this.#paused = undefined;
    this.#forget(node);
    this.#note(`${node.name} crashes`, () => node.crash());
  }

  #forget(node: ClusterNode): void {
    this.nodes = this.nodes.filter((each) => each !== node);
    this.watching = this.watching.filter((each) => each.node !== node);
  }

  async #stop(node: ClusterNode): Promise<void> {
    this.happened.push(`${node.name} stops`);
    if (this.#isolated === node.name) this.#isolateOrHeal(node.name);
    if (this.#paused === node) this.#pauseOrResume(node);
    this.#forget(node);
    let stopping = true;
    const stopped = node.stop().then(() => {
      stopping = false;
    });
    await this.load(3, 200);
    while (stopping) await this.#cluster.clock.advance(100);
    await stopped;
  }
}

function devicesOf(channel: string): readonly string[] {
  return devices.filter(
    (device) => channel === device || (channel.endsWith('>') && device.startsWith(channel.slice(0, -1))),
  );
}

test('whatever happens to nodes, links and clients, every client is shown every device whole, and nothing stays behind', async () => {
  for (let seed = firstSeed; seed <= lastSeed; seed++) {
    const cluster = await createCluster({ seed });
    const run = new Run(cluster, seed);
    try {
      for (const name of ['a', 'b', 'c']) await run.join(name);
      await settle(cluster);
      for (let step = 0; step < stepsMax; step++) await run.step();
      await run.calm();
      for (const { client, channel } of run.watching) assertWhole(client, devicesOf(channel), run.appended);
      for (const { node, client } of run.watching) leave(node, client);
      await settle(cluster);
      await settle(cluster);
      assertNothingLeft(run.nodes);
    } catch (error) {
      throw new assert.AssertionError({
        message: `seed ${seed}: ${(error as Error).message}\nafter ${run.happened.join('; ')}`,
      });
    } finally {
      await cluster.close();
    }
  }
});
