import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { assertAnswer, errorFromFailure, failureFrom } from './answer.ts';
import type { Bus, BusSubscription } from './bus.ts';
import { guarded } from './guarded.ts';
import { assertPayload, busLimits } from './limits.ts';
import { closedError } from './link.ts';
import { assertSubject, assertSubjectPattern } from './subject.ts';

export interface MemoryBusOptions {
  node: string;
  logger: Logger;
  pendingBytesMax?: number;
  payloadBytesMax?: number;
}

/** What a bus is to the network. */
export interface MemoryNode {
  readonly name: string;
  /** `idle` before start; `cut` while partitioned. */
  state: 'idle' | 'connected' | 'cut' | 'closed';
  /** Bytes on the way from it. */
  pendingBytes: number;
  onCut(): void;
  onHealed(): void;
}

/** A subscription or, with `serve`, an answering one. */
export interface MemoryRoute {
  readonly node: MemoryNode;
  readonly pattern: string;
  readonly serve: boolean;
  stopped: boolean;
  /** `answer`: where the message is a request. */
  receive(payload: Uint8Array, subject: string, answer?: (answer: MemoryAnswer) => void): void;
}

/** As it would be on a wire, so that an error is the asker's own and carries no more than code and message. */
export type MemoryAnswer =
  | { parts: readonly Uint8Array[]; bytes: number }
  | { failure: ReturnType<typeof failureFrom>; bytes: number };

/** The network as its buses see it. */
export interface MemoryFabric {
  readonly clock: Clock;
  isCut(node: string): boolean;
  add(route: MemoryRoute): void;
  remove(route: MemoryRoute): void;
  publish(from: MemoryNode, subject: string, payload: Uint8Array): void;
  /** False where nobody serves the subject. */
  ask(from: MemoryNode, subject: string, payload: Uint8Array, onAnswer: (answer: MemoryAnswer) => void): boolean;
  forget(node: MemoryNode): void;
}

/** One node's handle on a memory network. See `Bus` for what each method promises. */
export function createMemoryBus(
  fabric: MemoryFabric,
  options: Required<MemoryBusOptions>,
): { node: MemoryNode; bus: Bus } {
  const { clock } = fabric;
  const { logger, pendingBytesMax, payloadBytesMax } = options;
  const routes = new Set<MemoryRoute>();
  const questions = new Set<(error: TailraceError) => void>();
  let closing: Promise<void> | undefined;
  const whenConnected: { resolve(): void; reject(error: TailraceError): void }[] = [];
  let serving = 0;
  let dropped = 0;
  let connections = 0;

  const node: MemoryNode = {
    name: options.node,
    state: 'idle',
    pendingBytes: 0,
    onCut() {
      failQuestions(new TailraceError('unavailable', 'the connection was lost before the answer came'));
    },
    onHealed() {
      for (const waiter of whenConnected.splice(0)) waiter.resolve();
    },
  };

  function failQuestions(error: TailraceError): void {
    for (const fail of [...questions]) fail(error);
  }

  function assertOpen(): void {
    if (closing !== undefined) throw closedError();
  }

  function assertConnected(): void {
    assertOpen();
    if (node.state !== 'connected') throw new TailraceError('unavailable', 'the bus is not connected at present');
  }

  function connected(): Promise<void> {
    if (node.state === 'connected') return Promise.resolve();
    return new Promise((resolve, reject) => whenConnected.push({ resolve, reject }));
  }

  async function listen(route: MemoryRoute): Promise<BusSubscription> {
    assertOpen();
    assertSubjectPattern(route.pattern);
    if (routes.size >= busLimits.subscriptionsMax) {
      throw new TailraceError('limit_reached', `${routes.size} subscriptions are there already`);
    }
    routes.add(route);
    fabric.add(route);
    await connected();
    return {
      async stop() {
        route.stopped = true;
        routes.delete(route);
        fabric.remove(route);
      },
    };
  }

  async function serveOne(
    onRequest: Parameters<Bus['serve']>[1],
    payload: Uint8Array,
    subject: string,
    answer: (answer: MemoryAnswer) => void,
  ): Promise<void> {
    try {
      if (serving >= busLimits.servingMax) {
        throw new TailraceError('rate_limited', `this node works on ${serving} requests already`);
      }
      serving++;
      try {
        const parts = await onRequest(payload, subject);
        assertAnswer(parts, payloadBytesMax);
        answer({ parts, bytes: parts.reduce((sum, part) => sum + part.length, 0) });
      } finally {
        serving--;
      }
    } catch (thrown) {
      if (tailraceErrorFrom(thrown).code === 'internal') logger.error({ subject, error: thrown }, 'a request failed');
      const failure = failureFrom(thrown);
      answer({ failure, bytes: failure.payload.length });
    }
  }

  function ask(subject: string, payload: Uint8Array, deadlineMs: number): Promise<readonly Uint8Array[]> {
    if (questions.size >= busLimits.requestsMax) {
      throw new TailraceError('limit_reached', `${questions.size} requests wait for an answer already`, {
        retryable: true,
      });
    }
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        if (!questions.delete(fail)) return; // Too late: the asker has got something else.
        timer.cancel();
        settle();
      };
      const fail = (error: TailraceError) => end(() => reject(error));
      const timer = clock.after(deadlineMs, () =>
        fail(new TailraceError('timeout', `no whole answer from ${shown(subject)} within ${deadlineMs} ms`)),
      );
      questions.add(fail);
      const isServed = fabric.ask(node, subject, payload, (answer) =>
        end(() => {
          if ('parts' in answer) resolve(answer.parts);
          else reject(errorFromFailure(answer.failure.header, answer.failure.payload));
        }),
      );
      if (!isServed) fail(new TailraceError('unavailable', `nobody serves ${shown(subject)} at present`));
    });
  }

  async function close(): Promise<void> {
    for (const route of routes) {
      route.stopped = true;
      fabric.remove(route);
    }
    for (const waiter of whenConnected.splice(0)) waiter.reject(closedError());
    failQuestions(closedError());
    node.state = 'closed';
    fabric.forget(node);
  }

  const bus: Bus = {
    async start() {
      assertOpen();
      if (node.state !== 'idle') return;
      if (fabric.isCut(node.name)) {
        throw new TailraceError('unavailable', `the node ${shown(node.name)} is cut off from the network`);
      }
      node.state = 'connected';
      connections++;
      node.onHealed();
    },
    close: () => (closing ??= close()),
    publish(subject, payload) {
      assertOpen();
      assertSubject(subject);
      assertPayload(payload, payloadBytesMax, subject);
      if (node.state !== 'connected' || node.pendingBytes + payload.length > pendingBytesMax) dropped++;
      else fabric.publish(node, subject, payload);
    },
    async subscribe(subject, onMessage) {
      return listen({
        node,
        pattern: subject,
        serve: false,
        stopped: false,
        receive: (payload, on) => guarded(logger, () => onMessage(payload, on), 'a subscriber to the bus failed'),
      });
    },
    async request(subject, payload, { deadlineMs }) {
      assertSubject(subject);
      assertConnected();
      assertPayload(payload, payloadBytesMax, subject);
      return ask(subject, payload, deadlineMs);
    },
    async serve(subject, onRequest) {
      return listen({
        node,
        pattern: subject,
        serve: true,
        stopped: false,
        receive(payload, on, answer) {
          if (answer !== undefined) void serveOne(onRequest, payload, on, answer);
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
