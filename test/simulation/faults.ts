import type { MemoryFaults } from '@tailrace/bus/memory';
import type { Chance } from './chance.ts';
import type { SimulatedClient } from './client.ts';
import { partitions } from './limits.ts';
import type { SimulatedNode } from './node.ts';
import type { World } from './world.ts';

const nodesMax = 4;
const clientsMax = 16;
const clientsMin = 6;
/** The bus without faults. */
const calmBus: MemoryFaults = { delayMs: { min: 0.1, max: 2 } };

/**
 * Longer than the nodes take to write a last value to the state topic, also where the log is unavailable several times
 * meanwhile, and shorter than some clients are disconnected.
 */
const retentionMs = 24_000;

/** Faults and changes. Each seed has some of them, more or less often. */
const kinds = [
  'noise on the bus',
  'a node is partitioned from the bus',
  'a node dies',
  'a node is suspended',
  'a node is partitioned from the log',
  'the log is unavailable',
  'the log removes records',
  'a node joins',
  'a node leaves',
  'a rolling restart',
  'a client is slow',
  'a client loses its network',
  'a connection breaks',
  'a client starts',
  'a client stops',
  'a client changes its subscriptions',
  'a client pauses',
  'a loop is slow',
  'a program restarts',
  'a surge',
  'clocks differ',
] as const;
export type FaultKind = (typeof kinds)[number];

/** Injects faults into a world, at random, until `end`. */
export class Faults {
  readonly #world: World;
  readonly #chance: Chance;
  readonly #kinds: readonly FaultKind[];
  readonly #everyMs: number;
  /** Stops each fault that is active. */
  readonly #active = new Set<() => void>();
  /** Nodes with an active fault: they get no other. */
  readonly #busy = new Set<string>();
  #running = true;
  #stopping = 0;
  #joined = 0;

  constructor(world: World) {
    this.#world = world;
    this.#chance = world.chance.fork();
    // A seed without a kind of fault shows what the others do alone.
    const share = this.#chance.between(0.3, 1);
    this.#kinds = kinds.filter(() => this.#chance.happens(share));
    this.#everyMs = this.#chance.between(200, 2_500);
    world.skewed = this.#kinds.includes('clocks differ');
    world.note(`faults every ${Math.round(this.#everyMs)} ms: ${this.#kinds.join(', ')}`);
    world.setBusFaults(calmBus);
  }

  start(): void {
    this.#next();
  }

  /** Stops all faults. Nodes that are stopping still stop. */
  end(): void {
    this.#running = false;
    for (const stop of [...this.#active]) stop();
    this.#world.note('no more faults');
  }

  /** The number of nodes that are stopping. */
  get stopping(): number {
    return this.#stopping;
  }

  #next(): void {
    this.#world.scheduler.at(this.#chance.between(0, 2 * this.#everyMs), () => {
      if (!this.#running) return;
      if (this.#kinds.length > 0) this.#inject(this.#chance.pick(this.#kinds));
      this.#next();
    });
  }

  /** Calls `stop` after a while, or when all faults stop. */
  #lasting(minMs: number, maxMs: number, stop: () => void): void {
    let isStopped = false;
    const once = () => {
      if (isStopped) return;
      isStopped = true;
      this.#active.delete(once);
      stop();
    };
    this.#active.add(once);
    this.#world.scheduler.at(this.#chance.between(minMs, maxMs), once);
  }

  #inject(kind: FaultKind): void {
    const world = this.#world;
    const chance = this.#chance;
    switch (kind) {
      case 'noise on the bus':
        world.setBusFaults(this.#noise());
        this.#lasting(500, 8_000, () => world.setBusFaults(calmBus));
        return;
      case 'the log is unavailable':
        if (world.logFault !== undefined) return;
        world.setLogUnavailable(true);
        this.#lasting(50, 1_500, () => world.setLogUnavailable(false));
        return;
      case 'the log removes records':
        world.removeRecords(chance.whole(0, partitions - 1), retentionMs).catch(() => {
          // The log is unavailable.
        });
        return;
      case 'a node joins':
        this.#join();
        return;
      case 'a node leaves':
        this.#withNode((node) => {
          const others = [...world.nodes.values()].filter((other) => other !== node && other.isServing);
          if (others.length > 0) this.#stop(node, () => this.#busy.delete(node.name));
          else this.#busy.delete(node.name);
        });
        return;
      case 'a rolling restart':
        this.#restartNext([...world.nodes.keys()]);
        return;
      case 'a surge':
        world.note('a surge');
        world.load.surge = chance.between(3, 10);
        this.#lasting(200, 1_500, () => {
          world.load.surge = 1;
        });
        return;
      case 'clocks differ':
        return;
      default:
        if (kind.startsWith('a node')) this.#nodeFault(kind);
        else this.#clientFault(kind);
    }
  }

  #noise(): MemoryFaults {
    const chance = this.#chance;
    const max = chance.pick([2, 10, 60, 300]);
    return {
      delayMs: { min: 0.1, max },
      loss: chance.happens(0.6) ? chance.between(0, 0.4) : 0,
      duplication: chance.happens(0.5) ? chance.between(0, 0.3) : 0,
      reordering: { probability: chance.happens(0.5) ? chance.between(0, 0.3) : 0, byMs: chance.between(5, 400) },
    };
  }

  /** Calls `inject` with a node that has no active fault, where there is one. */
  #withNode(inject: (node: SimulatedNode) => void): void {
    const free = [...this.#world.nodes.values()].filter((node) => !this.#busy.has(node.name) && node.isServing);
    if (free.length === 0) return;
    const node = this.#chance.pick(free);
    this.#busy.add(node.name);
    inject(node);
  }

  #nodeFault(kind: FaultKind): void {
    const world = this.#world;
    this.#withNode((node) => {
      const { name } = node;
      const free = () => this.#busy.delete(name);
      world.note(`${name}: ${kind}`);
      if (kind === 'a node is partitioned from the bus') {
        world.network.partition(name);
        this.#lasting(200, 8_000, () => {
          world.note(`${name} is connected to the bus again`);
          world.network.heal(name);
          free();
        });
      } else if (kind === 'a node is suspended') {
        node.pause();
        this.#lasting(200, 9_000, () => {
          world.note(`${name} is resumed`);
          node.resume();
          free();
        });
      } else if (kind === 'a node is partitioned from the log') {
        node.isolateFromLog();
        this.#lasting(200, 7_000, () => {
          world.note(`${name} is connected to the log again`);
          node.healLog();
          free();
        });
      } else {
        world.crashNode(node, this.#chance.happens(0.6));
        this.#lasting(100, 7_000, () => {
          world.startNode(name);
          free();
        });
      }
    });
  }

  #join(): void {
    const world = this.#world;
    if (world.nodes.size + this.#busy.size >= nodesMax) return;
    world.startNode(`x${++this.#joined}`);
  }

  /** `then` is called when its process has exited. */
  #stop(node: SimulatedNode, then: () => void): void {
    this.#stopping++;
    this.#busy.add(node.name);
    void this.#world.stopNode(node).then(() => {
      this.#stopping--;
      then();
    });
  }

  #restartNext(names: readonly string[]): void {
    const [name, ...others] = names;
    const node = name === undefined ? undefined : this.#world.nodes.get(name);
    if (node === undefined || name === undefined || this.#busy.has(name) || !this.#running) return;
    this.#stop(node, () => {
      this.#world.scheduler.at(this.#chance.between(10, 500), () => {
        this.#world.startNode(name);
        this.#busy.delete(name);
        this.#world.scheduler.at(this.#chance.between(100, 2_000), () => this.#restartNext(others));
      });
    });
  }

  #clientFault(kind: FaultKind): void {
    const world = this.#world;
    const chance = this.#chance;
    if (kind === 'a client starts') {
      if (world.clients.length < clientsMax) world.addClient();
      return;
    }
    const client = chance.pick(world.clients);
    if (kind === 'a client pauses') this.#pause(client);
    else if (kind === 'a loop is slow') {
      client.loopMs = chance.pick([5, 50, 500]);
      world.note(`${client.name} needs ${client.loopMs} ms for a report`);
      this.#lasting(500, 10_000, () => {
        world.note(`${client.name} reads reports without delay`);
        client.loopMs = 0;
      });
    } else if (kind === 'a program restarts') {
      this.#restart(client);
    } else if (kind === 'a client stops') {
      if (world.clients.length > clientsMin) world.removeClient(client);
    } else if (kind === 'a client changes its subscriptions') {
      if (client.channels.length > 1 || chance.happens(0.3)) client.unsubscribe(chance.pick(client.channels));
      world.subscribe(client, client.rights[0]!);
      if (chance.happens(0.2)) world.intrude(client);
    } else if (kind === 'a connection breaks') {
      world.note(`the connection of ${client.name} breaks`);
      client.connection?.close();
    } else this.#linkFault(kind, client);
  }

  /** Restarts a program, half of the time in the middle of a snapshot. */
  #restart(client: SimulatedClient): void {
    const world = this.#world;
    const chance = this.#chance;
    if (client.channels.length === 0) return;
    const channel = chance.pick(client.channels);
    const isNew = chance.happens(0.5);
    if (isNew) {
      world.note(`${client.name} starts a loop on ${channel}`);
      client.unsubscribe(channel);
      client.subscribe(channel, 'loop');
      client.loopMs = 20;
    }
    this.#lasting(0, isNew ? 300 : 1, () => {
      world.note(`${client.name} restarts on ${channel}`);
      client.restart(channel);
      if (isNew) client.loopMs = 0;
    });
  }

  /** Pauses a subscription, half of the time shortly after it was started: in the middle of the snapshot. */
  #pause(client: SimulatedClient): void {
    const world = this.#world;
    const chance = this.#chance;
    if (client.channels.length === 0) return;
    const channel = chance.pick(client.channels);
    if (chance.happens(0.5)) {
      world.note(`${client.name} restarts on ${channel}`);
      client.unsubscribe(channel);
      client.subscribe(channel, chance.happens(0.5) ? 'loop' : 'callbacks');
    }
    world.scheduler.at(chance.between(0, 60), () => {
      if (!this.#running) return;
      world.note(`${client.name} pauses ${channel}`);
      client.pause(channel);
      this.#lasting(10, chance.pick([100, 1_000, 8_000]), () => {
        world.note(`${client.name} resumes ${channel}`);
        client.resume(channel);
      });
    });
  }

  #linkFault(kind: FaultKind, client: SimulatedClient): void {
    const world = this.#world;
    const { link } = client;
    world.note(`${client.name}: ${kind}`);
    if (kind === 'a client loses its network') {
      link.isDown = true;
      this.#lasting(100, this.#chance.happens(0.2) ? 20_000 : 5_000, () => {
        world.note(`${client.name} is on the network again`);
        link.isDown = false;
      });
    } else {
      link.bytesPerMs = this.#chance.pick([0, 0.2, 1, 4]);
      this.#lasting(500, 10_000, () => {
        world.note(`${client.name} reads fast`);
        link.bytesPerMs = Number.POSITIVE_INFINITY;
      });
    }
  }
}
