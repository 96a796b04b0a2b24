import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { assertAnswer, errorFromFailure, failureFrom } from './answer.ts';
import type { Bus, BusState, BusSubscription } from './bus.ts';
import { guarded } from './guarded.ts';
import { assertPayload, assertWorkId, assertWorkOptions, busLimits } from './limits.ts';
import { closedError } from './link.ts';
import type { MemoryAnswer, MemoryBusOptions, MemoryFabric, MemoryNode, MemoryRoute } from './memory.ts';
import { assertQueueName, assertSubject, assertSubjectPattern } from './subject.ts';

/** One node's handle on a memory network. See `Bus` for what each method promises. */
export function createMemoryBus(
  fabric: MemoryFabric,
  options: Required<MemoryBusOptions>,
): { node: MemoryNode; bus: Bus } {
  const { clock, queues } = fabric;
  const { log, pendingBytesMax, payloadBytesMax } = options;
  const routes = new Set<MemoryRoute>();
  const workers = new Set<{ stop(): Promise<void>; lost(): void; back(): void }>();
  const questions = new Set<(error: TailraceError) => void>();
  const listeners: ((state: BusState) => void)[] = [];
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
      for (const worker of workers) worker.lost();
      failQuestions(new TailraceError('unavailable', 'the connection was lost before the answer came'));
      tellAll();
    },
    onHealed() {
      for (const worker of workers) worker.back();
      tellAll();
      for (const waiter of whenConnected.splice(0)) waiter.resolve();
    },
  };

  function failQuestions(error: TailraceError): void {
    for (const fail of [...questions]) fail(error);
  }

  function tellAll(): void {
    for (const listener of listeners) tell(listener);
  }

  function tell(listener: (state: BusState) => void): void {
    guarded(
      log,
      () => listener(node.state === 'connected' ? 'connected' : 'disconnected'),
      'a listener to the state of the bus failed',
    );
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
      if (tailraceErrorFrom(thrown).code === 'internal') log.error({ subject, error: thrown }, 'a request failed');
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

  async function work(
    queue: string,
    pattern: string,
    onWork: Parameters<Bus['work']>[2],
    { retryMs, concurrency = busLimits.workConcurrency }: Parameters<Bus['work']>[3],
  ): Promise<BusSubscription> {
    assertOpen();
    assertQueueName(queue);
    assertSubjectPattern(pattern);
    assertWorkOptions({ retryMs, concurrency });
    const worker = queues.work(queue, pattern, {
      retryMs,
      concurrency,
      onWork,
      isConnected: () => node.state === 'connected',
      onFailure: (subject, error) => log.warn({ queue, subject, error }, 'work failed and will be tried again'),
    });
    workers.add(worker);
    await connected();
    return {
      async stop() {
        await worker.stop();
        workers.delete(worker);
      },
    };
  }

  async function close(): Promise<void> {
    for (const route of routes) {
      route.stopped = true;
      fabric.remove(route);
    }
    for (const waiter of whenConnected.splice(0)) waiter.reject(closedError());
    failQuestions(closedError());
    const stopping = Promise.all([...workers].map((worker) => worker.stop()));
    await new Promise<void>((resolve) => {
      if (workers.size === 0) return resolve();
      const timer = clock.after(options.closeTimeoutMs, resolve);
      stopping.then(() => {
        timer.cancel();
        resolve();
      });
    });
    const wasConnected = node.state === 'connected';
    node.state = 'closed';
    for (const worker of workers) worker.lost();
    fabric.forget(node);
    if (wasConnected) tellAll();
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
    async subscribe(subject, onMessage, { queue } = {}) {
      if (queue !== undefined) assertQueueName(queue);
      return listen({
        node,
        pattern: subject,
        ...(queue === undefined ? {} : { queue }),
        serve: false,
        stopped: false,
        receive: (payload, on) => guarded(log, () => onMessage(payload, on), 'a subscriber to the bus failed'),
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
    async enqueue(queue, subject, payload, { id }) {
      assertQueueName(queue);
      assertSubject(subject);
      assertWorkId(id);
      assertConnected();
      assertPayload(payload, payloadBytesMax, subject);
      queues.store(queue, subject, payload, id);
    },
    work,
    onState(listener) {
      listeners.push(listener);
      tell(listener);
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
