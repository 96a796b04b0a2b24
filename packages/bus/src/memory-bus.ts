import type { Clock } from '@tailrace/platform/clock';
import { type Logger, logErrorsOf } from '@tailrace/platform/logger';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Bus, BusStats, BusSubscription } from './bus.ts';
import { assertPayload, busLimits } from './limits.ts';
import { closedError } from './reconnector.ts';
import { assertReply, errorFromReply, errorReplyFrom } from './reply.ts';
import type { OnRequest } from './responder.ts';
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

/** The bus of one node on a memory network. See `Bus` for the contract of each method. */
export class MemoryBus implements Bus {
  readonly node: MemoryNode;
  readonly #fabric: MemoryFabric;
  readonly #options: Required<MemoryBusOptions>;
  readonly #subscriptions = new Set<MemorySubscription>();
  /** Rejects one pending request each. */
  readonly #pendingRequests = new Set<(error: TailraceError) => void>();
  readonly #connectWaiters: { resolve(): void; reject(error: TailraceError): void }[] = [];
  #closing: Promise<void> | undefined;
  /** Requests in progress on this node. */
  #serving = 0;
  #dropped = 0;
  #connections = 0;

  constructor(fabric: MemoryFabric, options: Required<MemoryBusOptions>) {
    this.#fabric = fabric;
    this.#options = options;
    this.node = {
      name: options.node,
      state: 'idle',
      pendingBytes: 0,
      onPartitioned: () =>
        this.#rejectRequests(new TailraceError('unavailable', 'the connection was lost before the reply came')),
      onConnected: () => {
        for (const waiter of this.#connectWaiters.splice(0)) waiter.resolve();
      },
    };
  }

  async start(): Promise<void> {
    const { node } = this;
    this.#assertOpen();
    if (node.state !== 'idle') return;
    if (this.#fabric.isPartitioned(node.name)) {
      throw new TailraceError('unavailable', `the node ${shown(node.name)} is partitioned from the network`);
    }
    node.state = 'connected';
    this.#connections++;
    node.onConnected();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  publish(subject: string, payload: Uint8Array): void {
    const { node } = this;
    const { payloadBytesMax, pendingBytesMax } = this.#options;
    this.#assertOpen();
    assertSubject(subject);
    assertPayload(payload, payloadBytesMax, subject);
    if (node.state !== 'connected' || node.pendingBytes + payload.length > pendingBytesMax) this.#dropped++;
    else this.#fabric.publish(node, subject, payload);
  }

  async subscribe(
    pattern: string,
    onMessage: (payload: Uint8Array, subject: string) => void,
  ): Promise<BusSubscription> {
    const { node } = this;
    const { logger } = this.#options;
    return this.#subscribe({
      ...{ node, pattern, serve: false, isStopped: false },
      receive: (payload, subject) =>
        logErrorsOf(logger, () => onMessage(payload, subject), 'a subscriber to the bus failed'),
    });
  }

  async request(
    subject: string,
    payload: Uint8Array,
    { deadlineMs }: { deadlineMs: number },
  ): Promise<readonly Uint8Array[]> {
    assertSubject(subject);
    this.#assertConnected();
    assertPayload(payload, this.#options.payloadBytesMax, subject);
    return this.#request(subject, payload, deadlineMs);
  }

  async serve(pattern: string, onRequest: OnRequest): Promise<BusSubscription> {
    const { node } = this;
    return this.#subscribe({
      ...{ node, pattern, serve: true, isStopped: false },
      receive: (payload, subject, reply) => {
        if (reply !== undefined) void this.#respond(onRequest, payload, subject, reply);
      },
    });
  }

  stats(): BusStats {
    const { pendingBytesMax, payloadBytesMax } = this.#options;
    return {
      pendingBytes: this.node.pendingBytes,
      pendingBytesMax,
      payloadBytesMax,
      dropped: this.#dropped,
      connections: this.#connections,
      connected: this.node.state === 'connected',
    };
  }

  #rejectRequests(error: TailraceError): void {
    for (const reject of [...this.#pendingRequests]) reject(error);
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw closedError();
  }

  #assertConnected(): void {
    this.#assertOpen();
    if (this.node.state !== 'connected') throw new TailraceError('unavailable', 'the bus is not connected at present');
  }

  #whenConnected(): Promise<void> {
    if (this.node.state === 'connected') return Promise.resolve();
    return new Promise((resolve, reject) => this.#connectWaiters.push({ resolve, reject }));
  }

  async #subscribe(subscription: MemorySubscription): Promise<BusSubscription> {
    this.#assertOpen();
    assertSubjectPattern(subscription.pattern);
    if (this.#subscriptions.size >= busLimits.subscriptionsMax) {
      throw new TailraceError(
        'limit_reached',
        `subscriptions: expected at most ${busLimits.subscriptionsMax}, got ${this.#subscriptions.size + 1}`,
      );
    }
    this.#subscriptions.add(subscription);
    this.#fabric.add(subscription);
    await this.#whenConnected();
    return {
      stop: async () => {
        subscription.isStopped = true;
        this.#subscriptions.delete(subscription);
        this.#fabric.remove(subscription);
      },
    };
  }

  async #respond(
    onRequest: OnRequest,
    payload: Uint8Array,
    subject: string,
    reply: (reply: MemoryReply) => void,
  ): Promise<void> {
    const { logger, payloadBytesMax } = this.#options;
    try {
      if (this.#serving >= busLimits.servingMax) {
        throw new TailraceError(
          'rate_limited',
          `requests in progress on this node: expected at most ${busLimits.servingMax}, got ${this.#serving + 1}`,
        );
      }
      this.#serving++;
      try {
        const parts = await onRequest(payload, subject);
        assertReply(parts, payloadBytesMax);
        reply({ parts, bytes: parts.reduce((sum, part) => sum + part.length, 0) });
      } finally {
        this.#serving--;
      }
    } catch (thrown) {
      if (tailraceErrorFrom(thrown).code === 'internal') logger.error({ subject, error: thrown }, 'a request failed');
      const error = errorReplyFrom(thrown);
      reply({ error, bytes: error.payload.length });
    }
  }

  #request(subject: string, payload: Uint8Array, deadlineMs: number): Promise<readonly Uint8Array[]> {
    const pendingRequests = this.#pendingRequests;
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
      const timer = this.#fabric.clock.after(deadlineMs, () =>
        fail(new TailraceError('timeout', `no complete reply from ${shown(subject)} within ${deadlineMs} ms`)),
      );
      pendingRequests.add(fail);
      const hasResponder = this.#fabric.request(this.node, subject, payload, (reply) =>
        settle(() => {
          if ('parts' in reply) resolve(reply.parts);
          else reject(errorFromReply(reply.error.header, reply.error.payload));
        }),
      );
      if (!hasResponder) fail(new TailraceError('unavailable', `no responders for ${shown(subject)} at present`));
    });
  }

  async #close(): Promise<void> {
    for (const subscription of this.#subscriptions) {
      subscription.isStopped = true;
      this.#fabric.remove(subscription);
    }
    for (const waiter of this.#connectWaiters.splice(0)) waiter.reject(closedError());
    this.#rejectRequests(closedError());
    this.node.state = 'closed';
    this.#fabric.removeNode(this.node);
  }
}
