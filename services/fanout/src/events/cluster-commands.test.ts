import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '@tailrace/testkit/random';
import { commandEvent } from '../../test/alarm-events.ts';
import type { Cluster, ClusterNode } from '../../test/cluster.ts';
import { settle, withCluster } from '../../test/cluster-load.ts';

const devices = Array.from({ length: 12 }, (_, i) => `plant.line${i % 3}.m${i}`);
const states = ['accepted', 'sent', 'delivered', 'done'] as const;

interface WatchedCommand {
  readonly id: string;
  readonly device: string;
  /** Transitions in the log; `seen`: the number of the last one that the watcher got. */
  appended: number;
  seen: number;
}

/** Commands whose watchers are at one node, which is never killed. */
class Commands {
  readonly all: WatchedCommand[] = [];
  readonly #cluster: Cluster;
  readonly #node: ClusterNode;

  constructor(cluster: Cluster, node: ClusterNode) {
    this.#cluster = cluster;
    this.#node = node;
  }

  watch(device: string): void {
    const command: WatchedCommand = { id: `c${this.all.length}`, device, appended: 0, seen: 0 };
    const stop = this.#node.eventHub.watchCommands(device, (event) => {
      if (event.kind !== 'command' || event.transition.id !== command.id) return;
      command.seen = Math.max(command.seen, event.transition.number);
      if (command.seen === states.length) stop();
    });
    this.all.push(command);
  }

  async advance(command: WatchedCommand): Promise<void> {
    const { id, device } = command;
    const state = states[command.appended++]!;
    const transition = { id, key: id, device, number: command.appended, state, time: this.#cluster.clock.now() };
    await this.#cluster.appendEvent(device, commandEvent(transition));
  }

  get open(): readonly WatchedCommand[] {
    return this.all.filter(({ appended }) => appended < states.length);
  }
}

/** Trouble of the log, the network and the other node. Each is a state that another call may end. */
class Trouble {
  readonly #cluster: Cluster;
  readonly #node: ClusterNode;
  #other: ClusterNode | undefined;
  #isPaused = false;
  #isAway = false;

  constructor(cluster: Cluster, node: ClusterNode, other: ClusterNode) {
    this.#cluster = cluster;
    this.#node = node;
    this.#other = other;
  }

  async change(chance: number, random: () => number): Promise<void> {
    const cluster = this.#cluster;
    if (chance < 0.04) await this.#killOrStart();
    else if (chance < 0.1) this.#setAway(!this.#isAway);
    else if (chance < 0.13) cluster.setNetworkFaults({ delayMs: { min: 0, max: 50 }, loss: random() < 0.5 ? 0.3 : 1 });
    else if (chance < 0.2) cluster.setNetworkFaults({});
    else if (chance < 0.23) this.#node.disconnectLog();
    else if (chance < 0.3) this.#node.reconnectLog();
    else if (chance < 0.33) cluster.slowReads(random() * 8_000);
    else if (chance < 0.38) cluster.slowReads(0);
    else if (chance < 0.43) this.#pauseOrContinue();
  }

  end(): void {
    this.#setAway(false);
    this.#cluster.setNetworkFaults({});
    this.#cluster.slowReads(0);
    this.#node.reconnectLog();
    if (this.#isPaused) this.#pauseOrContinue();
  }

  #setAway(isAway: boolean): void {
    this.#isAway = isAway;
    for (let partition = 0; partition < this.#cluster.partitions; partition++) this.#cluster.setAway(partition, isAway);
  }

  #pauseOrContinue(): void {
    if (this.#isPaused) this.#other?.resume();
    else this.#other?.pause();
    this.#isPaused = this.#other !== undefined && !this.#isPaused;
  }

  async #killOrStart(): Promise<void> {
    if (this.#isPaused) return;
    if (this.#other !== undefined) {
      this.#other.crash();
      this.#other = undefined;
    } else if (!this.#isAway) {
      this.#cluster.slowReads(0);
      this.#other = await this.#cluster.node('c');
    }
  }
}

for (let seed = 1; seed <= 6; seed++)
  test(`a watcher of a command gets its final state, whatever log, network and other nodes do (seed ${seed})`, () =>
    withCluster(
      ['a', 'b', 'c'],
      async (cluster, [node, , other]) => {
        const random = seededRandom(seed);
        const commands = new Commands(cluster, node!);
        const trouble = new Trouble(cluster, node!, other!);
        for (let i = 0; i < 200; i++) {
          if (random() < 0.3) commands.watch(devices[Math.floor(random() * devices.length)]!);
          for (const command of commands.open) if (random() < 0.3) await commands.advance(command);
          await trouble.change(random(), random);
          await cluster.clock.advance(20 + random() * 300);
        }
        trouble.end();
        await settle(cluster);
        while (commands.open.length > 0) for (const command of commands.open) await commands.advance(command);
        await settle(cluster);
        assert.ok(commands.all.length > 30);
        const missing = commands.all.filter(({ seen }) => seen < states.length);
        assert.deepEqual(missing, []);
      },
      seed,
    ));
