import type { Clock } from '@tailrace/platform/clock';
import { type Logger, logErrorsOf } from '@tailrace/platform/logger';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Bus, BusSubscription } from './bus.ts';
import { assertPayload, busLimits } from './limits.ts';
import { closedError } from './reconnector.ts';
import { assertReply, errorFromReply, errorReplyFrom } from './reply.ts';
import { assertSubject, assertSubjectPattern } from './subject.ts';

export interface MemoryBusOptions {
  node: string;
  logger: Logger;
  pendingBytesMax?: number;
  payloadBytesMax?: number;
}

/** A bus, as the network uses it. */
export interface MemoryNode {
  readonly name: string;
  /** `idle` before start. */
  state: 'idle' | 'connected' | 'partitioned' | 'closed';
  /** Bytes of messages from it that are not delivered yet. */
  pendingBytes: number;
  onPartitioned(): void;
  onConnected(): void;
}

/** A subscription to messages or, with `serve`, to requests. */
export interface MemorySubscription {
  readonly node: MemoryNode;
  readonly pattern: string;
  readonly serve: boolean;
  isStopped: boolean;
  /** `reply`: for a request. */
  receive(payload: Uint8Array, subject: string, reply?: (reply: MemoryReply) => void): void;
}

/** An error has the form of the wire, so that the requester gets a copy with code and message only. */
export type MemoryReply =
  | { parts: readonly Uint8Array[]; bytes: number }
  | { error: ReturnType<typeof errorReplyFrom>; bytes: number };

/** The network, as its buses use it. */
export interface MemoryFabric {
  readonly clock: Clock;
  isPartitioned(node: string): boolean;
  add(subscription: MemorySubscription): void;
  remove(subscription: MemorySubscription): void;
  publish(from: MemoryNode, subject: string, payload: Uint8Array): void;
  /** Sends a request to one responder. Returns false if the subject has none. */
  request(from: MemoryNode, subject: string, payload: Uint8Array, onReply: (reply: MemoryReply) => void): boolean;
  removeNode(node: MemoryNode): void;
}

/** Creates the bus of one node on a memory network. See `Bus` for the contract of each method. */
export function createMemoryBus(
  fabric: MemoryFabric,
  options: Required<MemoryBusOptions>,
): { node: MemoryNode; bus: Bus } {
  const { clock } = fabric;
  const { logger, pendingBytesMax, payloadBytesMax } = options;
  const subscriptions = new Set<MemorySubscription>();
  /** Rejects one pending request each. */
  const pendingRequests = new Set<(error: TailraceError) => void>();
  let closing: Promise<void> | undefined;
  const connectWaiters: { resolve(): void; reject(error: TailraceError): void }[] = [];
  let serving = 0;
  let dropped = 0;
  let connections = 0;

  const node: MemoryNode = {
    name: options.node,
    state: 'idle',
    pendingBytes: 0,
    onPartitioned() {
      rejectRequests(new TailraceError('unavailable', 'the connection was lost before the reply came'));
    },
    onConnected() {
      for (const waiter of connectWaiters.splice(0)) waiter.resolve();
    },
  };

  function rejectRequests(error: TailraceError): void {
    for (const reject of [...pendingRequests]) reject(error);
  }

  function assertOpen(): void {
    if (closing !== undefined) throw closedError();
  }

  function assertConnected(): void {
    assertOpen();
    if (node.state !== 'connected') throw new TailraceError('unavailable', 'the bus is not connected at present');
  }

  function whenConnected(): Promise<void> {
    if (node.state === 'connected') return Promise.resolve();
    return new Promise((resolve, reject) => connectWaiters.push({ resolve, reject }));
  }

  async function subscribe(subscription: MemorySubscription): Promise<BusSubscription> {
    assertOpen();
    assertSubjectPattern(subscription.pattern);
    if (subscriptions.size >= busLimits.subscriptionsMax) {
      throw new TailraceError(
        'limit_reached',
        `subscriptions: expected at most ${busLimits.subscriptionsMax}, got ${subscriptions.size + 1}`,
      );
    }
    subscriptions.add(subscription);
    fabric.add(subscription);
    await whenConnected();
    return {
      async stop() {
        subscription.isStopped = true;
        subscriptions.delete(subscription);
        fabric.remove(subscription);
      },
    };
  }

  async function respond(
    onRequest: Parameters<Bus['serve']>[1],
    payload: Uint8Array,
    subject: string,
    reply: (reply: MemoryReply) => void,
  ): Promise<void> {
    try {
      if (serving >= busLimits.servingMax) {
        throw new TailraceError(
          'rate_limited',
          `requests in progress on this node: expected at most ${busLimits.servingMax}, got ${serving + 1}`,
        );
      }
      serving++;
      try {
        const parts = await onRequest(payload, subject);
        assertReply(parts, payloadBytesMax);
        reply({ parts, bytes: parts.reduce((sum, part) => sum + part.length, 0) });
      } finally {
        serving--;
      }
    } catch (thrown) {
      if (tailraceErrorFrom(thrown).code === 'internal') logger.error({ subject, error: thrown }, 'a request failed');
      const error = errorReplyFrom(thrown);
      reply({ error, bytes: error.payload.length });
    }
  }

  function request(subject: string, payload: Uint8Array, deadlineMs: number): Promise<readonly Uint8Array[]> {
    if (pendingRequests.size >= busLimits.requestsMax) {
      throw new TailraceError(
        'limit_reached',
        `pending requests: expected at most ${busLimits.requestsMax}, got ${pendingRequests.size + 1}`,
        { retryable: true },
      );
    }
    return new Promise((resolve, reject) => {
      const settle = (call: () => void) => {
        if (!pendingRequests.delete(fail)) return; // Settled before.
        timer.cancel();
        call();
      };
      const fail = (error: TailraceError) => settle(() => reject(error));
      const timer = clock.after(deadlineMs, () =>
        fail(new TailraceError('timeout', `no complete reply from ${shown(subject)} within ${deadlineMs} ms`)),
      );
      pendingRequests.add(fail);
      const hasResponder = fabric.request(node, subject, payload, (reply) =>
        settle(() => {
          if ('parts' in reply) resolve(reply.parts);
          else reject(errorFromReply(reply.error.header, reply.error.payload));
        }),
      );
      if (!hasResponder) fail(new TailraceError('unavailable', `no responders for ${shown(subject)} at present`));
    });
  }

  async function close(): Promise<void> {
    for (const subscription of subscriptions) {
      subscription.isStopped = true;
      fabric.remove(subscription);
    }
    for (const waiter of connectWaiters.splice(0)) waiter.reject(closedError());
    rejectRequests(closedError());
    node.state = 'closed';
    fabric.removeNode(node);
  }

  const bus: Bus = {
    async start() {
      assertOpen();
      if (node.state !== 'idle') return;
      if (fabric.isPartitioned(node.name)) {
        throw new TailraceError('unavailable', `the node ${shown(node.name)} is partitioned from the network`);
      }
      node.state = 'connected';
      connections++;
      node.onConnected();
    },
    close: () => (closing ??= close()),
    publish(subject, payload) {
      assertOpen();
      assertSubject(subject);
      assertPayload(payload, payloadBytesMax, subject);
      if (node.state !== 'connected' || node.pendingBytes + payload.length > pendingBytesMax) dropped++;
      else fabric.publish(node, subject, payload);
    },
    async subscribe(pattern, onMessage) {
      return subscribe({
        node,
        pattern,
        serve: false,
        isStopped: false,
        receive: (payload, subject) =>
          logErrorsOf(logger, () => onMessage(payload, subject), 'a subscriber to the bus failed'),
      });
    },
    async request(subject, payload, { deadlineMs }) {
      assertSubject(subject);
      assertConnected();
      assertPayload(payload, payloadBytesMax, subject);
      return request(subject, payload, deadlineMs);
    },
    async serve(pattern, onRequest) {
      return subscribe({
        node,
        pattern,
        serve: true,
        isStopped: false,
        receive(payload, subject, reply) {
          if (reply !== undefined) void respond(onRequest, payload, subject, reply);
        },
      });
    },
    stats: () => ({
      pendingBytes: node.pendingBytes,
      pendingBytesMax,
      payloadBytesMax,
      dropped,
      connections,
      connected: node.state === 'connected',
    }),
  };
  return { node, bus };
}
