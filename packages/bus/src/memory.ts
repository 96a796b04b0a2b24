import type { Clock, Timer } from '@tailrace/platform/clock';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { Bus } from './bus.ts';
import { busLimits } from './limits.ts';
import {
  createMemoryBus,
  type MemoryBusOptions,
  type MemoryFabric,
  type MemoryNode,
  type MemoryRoute,
} from './memory-bus.ts';
import { subjectMatches } from './subject.ts';

/**
 * A network inside one process. The whole of it for a standalone installation; for the simulation one whose faults are at hand. All that
 * happens later happens by the clock and all chance comes from `random`, so that with a virtual clock and a seed a run repeats exactly.
 */
export interface MemoryNetwork {
  /** A node of the network, `conflict` where one of the name is open. It behaves as one process with its own connection. */
  createBus(options: MemoryBusOptions): Bus;
  /** From now on. Messages under way are not touched. */
  setFaults(faults: MemoryFaults): void;
  /** Cuts the node off, as if its connection broke: its state says so, what is on the way to it is lost. Idempotent. */
  partition(node: string): void;
  /** Ends a partition: subscriptions and serving go on. Idempotent. */
  heal(node: string): void;
}

export interface MemoryNetworkOptions {
  clock: Clock;
  /** 0 to 1, exclusive. Picks one of several servers of a subject and draws the faults. Default: Math.random. */
  random?: () => number;
  faults?: MemoryFaults;
}

/** Probabilities are for each message and receiver, 0 to 1. The delay is for all messages, the rest only for `publish`. */
export interface MemoryFaults {
  /** Drawn evenly for each message. The order of a pair of nodes stays. */
  delayMs?: { min: number; max: number };
  loss?: number;
  /** Delivered twice, one after the other. */
  duplication?: number;
  /** Held back by up to `byMs` and overtaken by later ones. */
  reordering?: { probability: number; byMs: number };
}

/** Messages between two nodes, oldest first; one timer for the first. None overtakes: one that is due waits for those before it. */
interface Lane {
  queue: { dueMs: number; deliver(): void }[];
  timer: Timer | undefined;
}

const matchCacheMax = 4096;

export function createMemoryNetwork(options: MemoryNetworkOptions): MemoryNetwork {
  const { clock, random = Math.random } = options;
  let faults = options.faults ?? {};
  const nodes = new Map<string, MemoryNode>();
  const cut = new Set<string>();
  const routes = new Set<MemoryRoute>();
  const matches = new Map<string, readonly MemoryRoute[]>();
  const lanes = new Map<MemoryNode, Map<MemoryNode, Lane>>();

  const happens = (probability: number | undefined) =>
    probability !== undefined && probability > 0 && random() < probability;
  const drawDelayMs = () =>
    faults.delayMs === undefined ? 0 : faults.delayMs.min + random() * (faults.delayMs.max - faults.delayMs.min);

  function routesFor(subject: string): readonly MemoryRoute[] {
    let found = matches.get(subject);
    if (found === undefined) {
      found = [...routes].filter((route) => subjectMatches(route.pattern, subject));
      if (matches.size >= matchCacheMax) matches.clear();
      matches.set(subject, found);
    }
    return found;
  }

  function laneOf(from: MemoryNode, to: MemoryNode): Lane {
    const mine = lanes.get(from) ?? new Map<MemoryNode, Lane>();
    const lane = mine.get(to) ?? { queue: [], timer: undefined };
    lanes.set(from, mine.set(to, lane));
    return lane;
  }

  function drain(lane: Lane): void {
    lane.timer = undefined;
    const nowMs = clock.monotonic();
    let count = 0;
    while (count < lane.queue.length && lane.queue[count]!.dueMs <= nowMs) count++;
    for (const { deliver } of lane.queue.splice(0, count)) deliver();
    arm(lane);
  }

  function arm(lane: Lane): void {
    const first = lane.queue[0];
    if (first === undefined || lane.timer !== undefined) return;
    lane.timer = clock.after(Math.max(0, first.dueMs - clock.monotonic()), () => drain(lane));
  }

  function send(
    from: MemoryNode,
    to: MemoryNode,
    bytes: number,
    delayMs: number,
    deliver: () => void,
    inOrder = true,
  ): void {
    from.pendingBytes += bytes;
    const arrive = () => {
      from.pendingBytes -= bytes;
      if (to.state === 'connected') deliver();
    };
    if (!inOrder) {
      clock.after(delayMs, arrive);
      return;
    }
    const lane = laneOf(from, to);
    lane.queue.push({ dueMs: clock.monotonic() + delayMs, deliver: arrive });
    arm(lane);
  }

  function sendPublished(from: MemoryNode, route: MemoryRoute, subject: string, payload: Uint8Array): void {
    if (happens(faults.loss)) return;
    const deliver = () => {
      if (!route.stopped) route.receive(payload, subject);
    };
    const copies = happens(faults.duplication) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const held = happens(faults.reordering?.probability);
      const heldMs = held ? random() * (faults.reordering?.byMs ?? 0) : 0;
      send(from, route.node, payload.length + subject.length, drawDelayMs() + heldMs, deliver, !held);
    }
  }

  function publish(from: MemoryNode, subject: string, payload: Uint8Array): void {
    for (const route of routesFor(subject)) {
      if (!route.serve && route.node.state === 'connected') sendPublished(from, route, subject, payload);
    }
  }

  function pick<T>(choices: readonly T[]): T {
    return choices[choices.length === 1 ? 0 : Math.floor(random() * choices.length)]!;
  }

  const fabric: MemoryFabric = {
    clock,
    isCut: (node) => cut.has(node),
    add(route) {
      routes.add(route);
      matches.clear();
    },
    remove(route) {
      routes.delete(route);
      matches.clear();
    },
    publish,
    ask(from, subject, payload, onAnswer) {
      const servers = routesFor(subject).filter((route) => route.serve && route.node.state === 'connected');
      if (servers.length === 0) return false;
      const route = pick(servers);
      send(from, route.node, payload.length + subject.length, drawDelayMs(), () => {
        if (route.stopped) return;
        route.receive(payload, subject, (answer) => {
          if (route.node.state !== 'connected') return;
          send(route.node, from, answer.bytes, drawDelayMs(), () => onAnswer(answer));
        });
      });
      return true;
    },
    forget(node) {
      nodes.delete(node.name);
      // What it sent is on its way and arrives; what is on the way to it has nowhere to go.
      lanes.delete(node);
      for (const mine of lanes.values()) {
        mine.get(node)?.timer?.cancel();
        mine.delete(node);
      }
    },
  };

  return {
    createBus(busOptions) {
      if (nodes.has(busOptions.node))
        throw new TailraceError('conflict', `a node ${shown(busOptions.node)} is open on this network already`);
      const { node, bus } = createMemoryBus(fabric, { ...defaults, ...busOptions });
      nodes.set(node.name, node);
      return bus;
    },
    setFaults(next) {
      faults = next;
    },
    partition(name) {
      if (cut.has(name)) return;
      cut.add(name);
      const node = nodes.get(name);
      if (node?.state !== 'connected') return;
      node.state = 'cut';
      node.onCut();
    },
    heal(name) {
      cut.delete(name);
      const node = nodes.get(name);
      if (node?.state !== 'cut') return;
      node.state = 'connected';
      node.onHealed();
    },
  };
}

const defaults = {
  pendingBytesMax: busLimits.pendingBytesMax,
  payloadBytesMax: busLimits.payloadBytesMax,
};
