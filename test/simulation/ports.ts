import type { Bus, BusSubscription } from '@tailrace/bus/bus';
import type { EventLog, LogRecord, ReadRange, SubscribeOptions, Subscription } from '@tailrace/eventlog/event-log';
import type { Wire, Wires } from '@tailrace/fanout/memory-transport';
import type { Transport, TransportHandlers } from '@tailrace/fanout/transport';
import { asRead } from '../../services/fanout/test/unreadable-records.ts';
import type { Chance } from './chance.ts';
import { type Link, Pipe } from './link.ts';
import type { Process } from './process.ts';
import type { Scheduler } from './scheduler.ts';

const latencyMsMax = 4;

/**
 * A process's connection to the log: responses are delayed, and nothing reaches a process that is suspended or dead.
 */
export function logOf(process: Process, eventLog: EventLog, scheduler: Scheduler, chance: Chance): EventLog {
  const answered = <T>(promise: Promise<T>): Promise<T> => {
    const later = scheduler.clock.sleep(chance.between(0, latencyMsMax)).then(() => promise);
    promise.catch(() => undefined);
    return process.gate(later);
  };
  async function* read(batches: AsyncIterable<readonly LogRecord[]>) {
    const iterator = batches[Symbol.asyncIterator]();
    for (;;) {
      const step = await answered(iterator.next());
      if (step.done === true) return;
      yield asRead(step.value);
    }
  }
  return {
    start: () => answered(eventLog.start()),
    close: () => answered(eventLog.close()),
    ensureTopic: (topic) => answered(eventLog.ensureTopic(topic)),
    describeTopic: (topic) => answered(eventLog.describeTopic(topic)),
    append: (topic, records) => answered(eventLog.append(topic, records)),
    appendEach(topic, records, settled) {
      const delayMs = chance.between(0, latencyMsMax);
      eventLog.appendEach(topic, records, (...result) =>
        scheduler.clock.after(delayMs, () => process.call(() => settled(...result))),
      );
    },
    bounds: (topic, partitions) => answered(eventLog.bounds(topic, partitions)),
    endOffsets: (topic, waitMs) => answered(eventLog.endOffsets(topic, waitMs)),
    positionsAt: (topic, timeMs, partitions) => answered(eventLog.positionsAt(topic, timeMs, partitions)),
    lag: (group, topic) => answered(eventLog.lag(group, topic)),
    read: (topic: string, partition: number, range: ReadRange) => read(eventLog.read(topic, partition, range)),
    async subscribe(options: SubscribeOptions): Promise<Subscription> {
      /** Runs a call in the process: now, after it is resumed, or never. */
      const inside = <T>(call: () => T | Promise<T>): T | Promise<T> => {
        if (process.state === 'running') return call();
        return new Promise((resolve, reject) => {
          process.call(() => void Promise.resolve().then(call).then(resolve, reject));
        });
      };
      // Without delay: the first assignment comes after the response.
      const subscription = await process.gate(
        eventLog.subscribe({
          ...options,
          onAssigned: (assignment) => inside(() => options.onAssigned(assignment)),
          onBatches: (batches) =>
            inside(() => options.onBatches(batches.map((batch) => ({ ...batch, records: asRead(batch.records) })))),
          onError: (error) => process.call(() => options.onError?.(error)),
        }),
      );
      return {
        commit: (topic, partition, next) => subscription.commit(topic, partition, next),
        stop: () => process.gate(subscription.stop()),
        queue: () => subscription.queue(),
      };
    },
  };
}

/** A process's connection to the bus: nothing reaches a process that is suspended or dead. */
export function busOf(process: Process, bus: Bus): Bus {
  return {
    start: () => process.gate(bus.start()),
    close: () => process.gate(bus.close()),
    publish(subject, payload) {
      if (process.state !== 'dead') bus.publish(subject, payload);
    },
    subscribe: (subject, onMessage) =>
      process.gate(
        bus.subscribe(subject, (payload, on) => process.call(() => onMessage(payload, on))),
      ) as Promise<BusSubscription>,
    request: (subject, payload, options) => process.gate(bus.request(subject, payload, options)),
    serve: (subject, onRequest) =>
      process.gate(
        bus.serve(subject, (payload, on) => {
          if (process.state === 'running') return onRequest(payload, on);
          return new Promise((resolve, reject) => {
            process.call(() => {
              Promise.resolve()
                .then(() => onRequest(payload, on))
                .then(resolve, reject);
            });
          });
        }),
      ),
    stats: () => bus.stats(),
  };
}

/** A process's transport, in the same way. `connect` of the inner one is a call of the process. */
export function transportOf(process: Process, transport: Transport): Transport {
  return {
    listen: <C extends object>(handlers: TransportHandlers<C>) =>
      transport.listen<C>({
        path: handlers.path,
        routes: handlers.routes,
        otherwise: (request) => handlers.otherwise(request),
        handshake: (request) => handlers.handshake(request),
        opened: (context, connection) => handlers.opened(context, connection),
        message: (context, data, isBinary) => process.call(() => handlers.message(context, data, isBinary)),
        heartbeat: (context) => process.call(() => handlers.heartbeat(context)),
        // Always within a call of this process.
        dropped: (context) => handlers.dropped(context),
        drained: (context) => process.call(() => handlers.drained(context)),
        closed: (context, code) => process.call(() => handlers.closed(context, code)),
      }),
    publish: (topic, frame) => transport.publish(topic, frame),
    close: () => transport.close(),
    unfinishedBodies: () => transport.unfinishedBodies(),
  };
}

/** Bytes that the kernel buffers before any wait in the server's process. */
const kernelBytes = 4_096;
const handshakeBytes = 130;

/** Returns the wires of a connection over a link. `onOpen` is called when the handshake is answered. */
export function wiresOver(link: Link, onOpen: () => void): (drained: () => void) => Wires {
  return (drained) => {
    const toClient: Pipe = new Pipe(link, true, (bytes) => {
      if (toClient.bytes + bytes > kernelBytes) drained();
    });
    toClient.push(handshakeBytes, onOpen);
    return {
      toClient: new PipeWire(toClient, kernelBytes),
      toServer: new PipeWire(new Pipe(link, false, () => {}), 0),
    };
  };
}

class PipeWire implements Wire {
  readonly #pipe: Pipe;
  readonly #kernelBytes: number;

  constructor(pipe: Pipe, kernelBytes: number) {
    this.#pipe = pipe;
    this.#kernelBytes = kernelBytes;
  }

  get waitingBytes(): number {
    return Math.max(0, this.#pipe.bytes - this.#kernelBytes);
  }

  send(bytes: number, arrive: () => void): void {
    this.#pipe.push(bytes, arrive);
  }

  terminate(): void {
    this.#pipe.close();
  }
}
