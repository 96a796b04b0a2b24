import type { Clock, Timer } from '@tailrace/platform/clock';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { Bus } from './bus.ts';
import { busLimits } from './limits.ts';
import {
  MemoryBus,
  type MemoryBusOptions,
  type MemoryFabric,
  type MemoryNode,
  type MemorySubscription,
} from './memory-bus.ts';
import { subjectMatches } from './subject.ts';

/**
 * A network inside one process: all there is in a standalone installation, and one with injected faults in the
 * simulation. All delays come from the clock and all chance from `random`. With a virtual clock and a seed, a run
 * repeats exactly.
 */
export interface MemoryNetwork {
  /**
   * Creates a node, which behaves as one process with its own connection. Throws `conflict` if one of the name is open.
   */
  createBus(options: MemoryBusOptions): Bus;
  /** Applies to messages sent from now on. */
  setFaults(faults: MemoryFaults): void;
  /**
   * Partitions the node, as if its connection broke: it is disconnected, and messages on the way to it are lost.
   * Idempotent.
   */
  partition(node: string): void;
  /** Heals a partition: subscriptions and serving continue. Idempotent. */
  heal(node: string): void;
}

export interface MemoryNetworkOptions {
  clock: Clock;
  /** 0 to 1, exclusive. Selects one of several responders, and draws the faults. Default: Math.random. */
  random?: () => number;
  faults?: MemoryFaults;
}

/**
 * Probabilities are for each message and receiver, 0 to 1. The delay is for all messages, the rest only for `publish`.
 */
export interface MemoryFaults {
  /** Uniformly distributed for each message. Keeps the order of messages between two nodes. */
  delayMs?: { min: number; max: number };
  loss?: number;
  /** Delivered twice, one after the other. */
  duplication?: number;
  /** Delayed by up to `byMs` more, and overtaken by later messages. */
  reordering?: { probability: number; byMs: number };
}

/**
 * Messages from one node to another, oldest first, with one timer for the first. A due message waits for those before
 * it.
 */
class MessageQueue {
  readonly #clock: Clock;
  readonly #messages: { readonly dueMs: number; deliver(): void }[] = [];
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  push(delayMs: number, deliver: () => void): void {
    this.#messages.push({ dueMs: this.#clock.monotonic() + delayMs, deliver });
    this.#arm();
  }

  /** Delivers nothing more. */
  close(): void {
    this.#timer?.cancel();
  }

  #arm(): void {
    const first = this.#messages[0];
    if (first === undefined || this.#timer !== undefined) return;
    this.#timer = this.#clock.after(Math.max(0, first.dueMs - this.#clock.monotonic()), () => this.#deliverDue());
  }

  #deliverDue(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.monotonic();
    let count = 0;
    while (count < this.#messages.length && this.#messages[count]!.dueMs <= nowMs) count++;
    for (const { deliver } of this.#messages.splice(0, count)) deliver();
    this.#arm();
  }
}

const matchCacheMax = 4096;

export function createMemoryNetwork(options: MemoryNetworkOptions): MemoryNetwork {
  const { clock, random = Math.random } = options;
  let faults = options.faults ?? {};
  const nodes = new Map<string, MemoryNode>();
  const partitioned = new Set<string>();
  const subscriptions = new Set<MemorySubscription>();
  const matches = new Map<string, readonly MemorySubscription[]>();
  const queues = new Map<MemoryNode, Map<MemoryNode, MessageQueue>>();

  const happens = (probability: number | undefined) =>
    probability !== undefined && probability > 0 && random() < probability;
  const drawDelayMs = () =>
    faults.delayMs === undefined ? 0 : faults.delayMs.min + random() * (faults.delayMs.max - faults.delayMs.min);

  function subscriptionsTo(subject: string): readonly MemorySubscription[] {
    let found = matches.get(subject);
    if (found === undefined) {
      found = [...subscriptions].filter(({ pattern }) => subjectMatches(pattern, subject));
      if (matches.size >= matchCacheMax) matches.clear();
      matches.set(subject, found);
    }
    return found;
  }

  function queueBetween(from: MemoryNode, to: MemoryNode): MessageQueue {
    const ofSender = queues.get(from) ?? new Map<MemoryNode, MessageQueue>();
    const queue = ofSender.get(to) ?? new MessageQueue(clock);
    queues.set(from, ofSender.set(to, queue));
    return queue;
  }

  function send(
    from: MemoryNode,
    to: MemoryNode,
    bytes: number,
    delayMs: number,
    deliver: () => void,
    isOrdered = true,
  ): void {
    from.pendingBytes += bytes;
    const deliverIfConnected = () => {
      from.pendingBytes -= bytes;
      if (to.state === 'connected') deliver();
    };
    if (isOrdered) queueBetween(from, to).push(delayMs, deliverIfConnected);
    else clock.after(delayMs, deliverIfConnected);
  }

  function sendPublished(
    from: MemoryNode,
    subscription: MemorySubscription,
    subject: string,
    payload: Uint8Array,
  ): void {
    if (happens(faults.loss)) return;
    const deliver = () => {
      if (!subscription.isStopped) subscription.receive(payload, subject);
    };
    const copies = happens(faults.duplication) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const isReordered = happens(faults.reordering?.probability);
      const extraMs = isReordered ? random() * (faults.reordering?.byMs ?? 0) : 0;
      send(from, subscription.node, payload.length + subject.length, drawDelayMs() + extraMs, deliver, !isReordered);
    }
  }

  function publish(from: MemoryNode, subject: string, payload: Uint8Array): void {
    for (const subscription of subscriptionsTo(subject)) {
      if (!subscription.serve && subscription.node.state === 'connected')
        sendPublished(from, subscription, subject, payload);
    }
  }

  function pick<T>(choices: readonly T[]): T {
    return choices[choices.length === 1 ? 0 : Math.floor(random() * choices.length)]!;
  }

  const fabric: MemoryFabric = {
    clock,
    isPartitioned: (node) => partitioned.has(node),
    add(subscription) {
      subscriptions.add(subscription);
      matches.clear();
    },
    remove(subscription) {
      subscriptions.delete(subscription);
      matches.clear();
    },
    publish,
    request(from, subject, payload, onReply) {
      const responders = subscriptionsTo(subject).filter(({ serve, node }) => serve && node.state === 'connected');
      if (responders.length === 0) return false;
      const responder = pick(responders);
      send(from, responder.node, payload.length + subject.length, drawDelayMs(), () => {
        if (responder.isStopped) return;
        responder.receive(payload, subject, (reply) => {
          if (responder.node.state !== 'connected') return;
          send(responder.node, from, reply.bytes, drawDelayMs(), () => onReply(reply));
        });
      });
      return true;
    },
    removeNode(node) {
      nodes.delete(node.name);
      // Messages from it are still delivered; messages to it are not.
      queues.delete(node);
      for (const ofSender of queues.values()) {
        ofSender.get(node)?.close();
        ofSender.delete(node);
      }
    },
  };

  return {
    createBus(busOptions) {
      if (nodes.has(busOptions.node))
        throw new TailraceError('conflict', `a node ${shown(busOptions.node)} is open on this network already`);
      const bus = new MemoryBus(fabric, { ...defaults, ...busOptions });
      nodes.set(bus.node.name, bus.node);
      return bus;
    },
    setFaults(next) {
      faults = next;
    },
    partition(name) {
      if (partitioned.has(name)) return;
      partitioned.add(name);
      const node = nodes.get(name);
      if (node?.state !== 'connected') return;
      node.state = 'partitioned';
      node.onPartitioned();
    },
    heal(name) {
      partitioned.delete(name);
      const node = nodes.get(name);
      if (node?.state !== 'partitioned') return;
      node.state = 'connected';
      node.onConnected();
    },
  };
}

const defaults = {
  pendingBytesMax: busLimits.pendingBytesMax,
  payloadBytesMax: busLimits.payloadBytesMax,
};
