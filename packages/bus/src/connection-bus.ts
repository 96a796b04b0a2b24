import type { Clock } from '@tailrace/platform/clock';
import { type Logger, logErrorsOf } from '@tailrace/platform/logger';
import type { BackoffOptions } from '@tailrace/protocol/backoff';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { Bus, BusSubscription } from './bus.ts';
import type { Connection, Dial, ReceivedMessage } from './connection.ts';
import { assertPayload, busLimits } from './limits.ts';
import { createPendingBytes } from './pending-bytes.ts';
import { closedError, createReconnector } from './reconnector.ts';
import { createRequester } from './requester.ts';
import { type ActiveConnection, createResponder } from './responder.ts';
import { assertSubject, assertSubjectPattern } from './subject.ts';

export interface ConnectionBusOptions {
  /** Name of this node in replies. */
  name: string;
  dial: Dial;
  clock: Clock;
  random: () => number;
  logger: Logger;
  reconnectBackoff: BackoffOptions;
  pendingBytesMax: number;
  closeTimeoutMs: number;
}

// Bytes beside the payload in the protocol of the server: `PUB <subject> <length>\r\n` and `\r\n`.
const framingBytes = 16;

// The responders of one subject share its requests.
const servingQueue = 'tailrace-serve';

/** A subscription, which is sent to the server on every new connection. */
interface Entry {
  attach(connection: Connection): void;
  detach(): void;
  /** Called when the server has the subscription. */
  confirm(): void;
  /** Called when there will be no subscription. */
  fail(error: TailraceError): void;
}

/** Returns a Bus over the connection of the reconnector. See `Bus` for the contract of each method. */
export function createConnectionBus(options: ConnectionBusOptions): Bus {
  const { clock, logger, pendingBytesMax } = options;
  const requester = createRequester(clock);
  const responder = createResponder(options.name, logger);
  const entries = new Set<Entry>();
  /** The connection with the subscriptions, from `onUp` to `onDown`. To be used only while `isUp`. */
  let current: ActiveConnection | undefined;
  let isUp = false;
  let payloadBytesMax: number = busLimits.payloadBytesMax;
  let dropped = 0;
  let connections = 0;
  let closing: Promise<void> | undefined;

  const reconnector = createReconnector({
    ...options,
    backoff: options.reconnectBackoff,
    async onUp(connection) {
      payloadBytesMax = connection.payloadBytesMax;
      if (payloadBytesMax < busLimits.payloadBytesMax) {
        const expected = busLimits.payloadBytesMax + busLimits.headerBytesMax;
        logger.error(
          { address: connection.address, expected, got: payloadBytesMax + busLimits.headerBytesMax },
          'the NATS server accepts smaller messages than the nodes may send to each other: raise its max_payload',
        );
      }
      current = { connection, pending: createPendingBytes({ clock, flush: () => connection.flush() }) };
      requester.attach(connection);
      for (const entry of entries) entry.attach(connection);
      const attached = [...entries];
      await connection.flush();
      for (const entry of attached) entry.confirm();
    },
    onDown(connection, reason) {
      current?.pending.close(reason);
      current = undefined;
      requester.rejectAll(
        closing !== undefined
          ? closedError()
          : new TailraceError(
              'unavailable',
              `the connection to NATS at ${connection.address} was lost before the reply came`,
              { cause: reason },
            ),
      );
    },
    onState(state) {
      isUp = state;
      if (isUp) connections++;
    },
    onRefusedPublish(subject, error) {
      logger.error({ subject, error }, 'the NATS user may not publish to this subject');
      requester.rejectSubject(subject, error);
    },
  });

  function active(): ActiveConnection | undefined {
    return isUp ? current : undefined;
  }

  function assertOpen(): void {
    if (closing !== undefined) throw closedError();
  }

  function activeOrUnavailable(): ActiveConnection {
    assertOpen();
    const found = active();
    if (found === undefined) throw new TailraceError('unavailable', 'the bus is not connected to NATS at present');
    if (found.pending.bytes > pendingBytesMax) {
      throw new TailraceError(
        'unavailable',
        `pending bytes to NATS: expected at most ${pendingBytesMax}, got ${found.pending.bytes}`,
      );
    }
    return found;
  }

  function subscribe(
    subject: string,
    queue: string | undefined,
    onMessage: (message: ReceivedMessage) => void,
  ): Promise<BusSubscription> {
    assertOpen();
    assertSubjectPattern(subject);
    if (entries.size >= busLimits.subscriptionsMax) {
      throw new TailraceError(
        'limit_reached',
        `subscriptions: expected at most ${busLimits.subscriptionsMax}, got ${entries.size + 1}`,
      );
    }
    let unsubscribe: () => void = () => {};
    let isStopped = false;
    return new Promise((resolve, reject) => {
      const entry: Entry = {
        attach(connection) {
          unsubscribe = connection.subscribe(
            subject,
            queue,
            (message) => {
              if (!isStopped) onMessage(message);
            },
            (error) => {
              logger.error({ subject, error }, 'the NATS user may not subscribe to this subject');
              entry.fail(
                new TailraceError('forbidden', `the NATS user may not subscribe to ${shown(subject)}`, {
                  cause: error,
                }),
              );
            },
          );
        },
        detach: () => unsubscribe(),
        confirm: () => resolve(subscription),
        fail(error) {
          isStopped = true;
          entries.delete(entry);
          reject(error);
        },
      };
      const subscription: BusSubscription = {
        async stop() {
          if (isStopped) return;
          isStopped = true;
          entries.delete(entry);
          entry.detach();
        },
      };
      entries.add(entry);
      if (current === undefined) return; // `onUp` attaches it.
      entry.attach(current.connection);
      // A flush fails only with its connection: `onUp` attaches the entry to the next one.
      current.connection.flush().then(entry.confirm, () => {});
    });
  }

  async function close(): Promise<void> {
    for (const entry of [...entries]) entry.fail(closedError());
    requester.rejectAll(closedError());
    await reconnector.close(options.closeTimeoutMs);
  }

  return {
    system: 'nats',
    start: () => reconnector.start(),
    close: () => (closing ??= close()),
    publish(subject, payload) {
      assertOpen();
      assertSubject(subject);
      assertPayload(payload, payloadBytesMax, subject);
      const bytes = payload.length + subject.length + framingBytes;
      if (!isUp || current === undefined || current.pending.bytes + bytes > pendingBytesMax) {
        dropped++;
        return;
      }
      current.connection.publish(subject, payload);
      current.pending.add(bytes);
    },
    async subscribe(subject, onMessage) {
      return subscribe(subject, undefined, (message) =>
        logErrorsOf(logger, () => onMessage(message.data, message.subject), 'a subscriber to the bus failed'),
      );
    },
    async request(subject, payload, { deadlineMs }) {
      assertSubject(subject);
      const to = activeOrUnavailable();
      const reply = requester.request(to.connection, subject, payload, deadlineMs);
      to.pending.add(payload.length + subject.length + framingBytes);
      return reply;
    },
    async serve(subject, onRequest) {
      return subscribe(subject, servingQueue, (message) => void responder.respond(message, onRequest, active));
    },
    stats: () => ({
      pendingBytes: current?.pending.bytes ?? 0,
      pendingBytesMax,
      payloadBytesMax,
      dropped,
      connections,
      connected: isUp,
    }),
  };
}
