import type { Clock } from '@tailrace/platform/clock';
import { type Logger, logErrorsOf } from '@tailrace/platform/logger';
import type { BackoffOptions } from '@tailrace/protocol/backoff';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { Bus, BusStats, BusSubscription } from './bus.ts';
import type { Connection, Dial, ReceivedMessage } from './connection.ts';
import { assertPayload, busLimits } from './limits.ts';
import { PendingBytes } from './pending-bytes.ts';
import { closedError, Reconnector } from './reconnector.ts';
import { Requester } from './requester.ts';
import { type ActiveConnection, type OnRequest, Responder } from './responder.ts';
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

/** A Bus over the connection of the reconnector. See `Bus` for the contract of each method. */
export class ConnectionBus implements Bus {
  readonly system = 'nats';
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #pendingBytesMax: number;
  readonly #closeTimeoutMs: number;
  readonly #requester: Requester;
  readonly #responder: Responder;
  readonly #reconnector: Reconnector;
  readonly #entries = new Set<Entry>();
  /** The connection with the subscriptions, from `#onUp` to `#onDown`. To be used only while `#isUp`. */
  #current: ActiveConnection | undefined;
  #isUp = false;
  #payloadBytesMax: number = busLimits.payloadBytesMax;
  #dropped = 0;
  #connections = 0;
  #closing: Promise<void> | undefined;

  constructor(options: ConnectionBusOptions) {
    const { name, dial, clock, random, logger, reconnectBackoff } = options;
    this.#clock = clock;
    this.#logger = logger;
    this.#pendingBytesMax = options.pendingBytesMax;
    this.#closeTimeoutMs = options.closeTimeoutMs;
    this.#requester = new Requester(clock);
    this.#responder = new Responder(name, logger);
    this.#reconnector = new Reconnector({
      ...{ dial, clock, random, logger, backoff: reconnectBackoff },
      onUp: (connection) => this.#onUp(connection),
      onDown: (connection, reason) => this.#onDown(connection, reason),
      onState: (isUp) => {
        this.#isUp = isUp;
        if (isUp) this.#connections++;
      },
      onRefusedPublish: (subject, error) => {
        logger.error({ subject, error }, 'the NATS user may not publish to this subject');
        this.#requester.rejectSubject(subject, error);
      },
    });
  }

  start(): Promise<void> {
    return this.#reconnector.start();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  publish(subject: string, payload: Uint8Array): void {
    this.#assertOpen();
    assertSubject(subject);
    assertPayload(payload, this.#payloadBytesMax, subject);
    const current = this.#current;
    const bytes = payload.length + subject.length + framingBytes;
    if (!this.#isUp || current === undefined || current.pending.bytes + bytes > this.#pendingBytesMax) {
      this.#dropped++;
      return;
    }
    current.connection.publish(subject, payload);
    current.pending.add(bytes);
  }

  async subscribe(
    subject: string,
    onMessage: (payload: Uint8Array, subject: string) => void,
  ): Promise<BusSubscription> {
    const logger = this.#logger;
    return this.#subscribe(subject, undefined, (message) =>
      logErrorsOf(logger, () => onMessage(message.data, message.subject), 'a subscriber to the bus failed'),
    );
  }

  async request(
    subject: string,
    payload: Uint8Array,
    { deadlineMs }: { deadlineMs: number },
  ): Promise<readonly Uint8Array[]> {
    assertSubject(subject);
    const to = this.#activeOrUnavailable();
    const reply = this.#requester.request(to.connection, subject, payload, deadlineMs);
    to.pending.add(payload.length + subject.length + framingBytes);
    return reply;
  }

  async serve(subject: string, onRequest: OnRequest): Promise<BusSubscription> {
    const active = () => this.#active();
    return this.#subscribe(
      subject,
      servingQueue,
      (message) => void this.#responder.respond(message, onRequest, active),
    );
  }

  stats(): BusStats {
    return {
      pendingBytes: this.#current?.pending.bytes ?? 0,
      pendingBytesMax: this.#pendingBytesMax,
      payloadBytesMax: this.#payloadBytesMax,
      dropped: this.#dropped,
      connections: this.#connections,
      connected: this.#isUp,
    };
  }

  async #onUp(connection: Connection): Promise<void> {
    this.#payloadBytesMax = connection.payloadBytesMax;
    if (this.#payloadBytesMax < busLimits.payloadBytesMax) {
      const expected = busLimits.payloadBytesMax + busLimits.headerBytesMax;
      this.#logger.error(
        { address: connection.address, expected, got: this.#payloadBytesMax + busLimits.headerBytesMax },
        'the NATS server accepts smaller messages than the nodes may send to each other: raise its max_payload',
      );
    }
    const pending = new PendingBytes({ clock: this.#clock, flush: () => connection.flush() });
    this.#current = { connection, pending };
    this.#requester.attach(connection);
    for (const entry of this.#entries) entry.attach(connection);
    const attached = [...this.#entries];
    await connection.flush();
    for (const entry of attached) entry.confirm();
  }

  #onDown({ address }: Connection, cause: Error): void {
    this.#current?.pending.close(cause);
    this.#current = undefined;
    const message = `the connection to NATS at ${address} was lost before the reply came`;
    this.#requester.rejectAll(
      this.#closing === undefined ? new TailraceError('unavailable', message, { cause }) : closedError(),
    );
  }

  async #close(): Promise<void> {
    for (const entry of [...this.#entries]) entry.fail(closedError());
    this.#requester.rejectAll(closedError());
    await this.#reconnector.close(this.#closeTimeoutMs);
  }

  #active(): ActiveConnection | undefined {
    return this.#isUp ? this.#current : undefined;
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw closedError();
  }

  #activeOrUnavailable(): ActiveConnection {
    this.#assertOpen();
    const found = this.#active();
    if (found === undefined) throw new TailraceError('unavailable', 'the bus is not connected to NATS at present');
    if (found.pending.bytes > this.#pendingBytesMax) {
      throw new TailraceError(
        'unavailable',
        `pending bytes to NATS: expected at most ${this.#pendingBytesMax}, got ${found.pending.bytes}`,
      );
    }
    return found;
  }

  #subscribe(
    subject: string,
    queue: string | undefined,
    onMessage: (message: ReceivedMessage) => void,
  ): Promise<BusSubscription> {
    this.#assertOpen();
    assertSubjectPattern(subject);
    const entries = this.#entries;
    if (entries.size >= busLimits.subscriptionsMax) {
      throw new TailraceError(
        'limit_reached',
        `subscriptions: expected at most ${busLimits.subscriptionsMax}, got ${entries.size + 1}`,
      );
    }
    let unsubscribe: () => void = () => {};
    let isStopped = false;
    return new Promise((resolve, reject) => {
      const onRefused = (cause: Error) => {
        this.#logger.error({ subject, error: cause }, 'the NATS user may not subscribe to this subject');
        entry.fail(new TailraceError('forbidden', `the NATS user may not subscribe to ${shown(subject)}`, { cause }));
      };
      const entry: Entry = {
        attach(connection) {
          const onAny = (message: ReceivedMessage) => {
            if (!isStopped) onMessage(message);
          };
          unsubscribe = connection.subscribe(subject, queue, onAny, onRefused);
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
      if (this.#current === undefined) return; // `#onUp` attaches it.
      const { connection } = this.#current;
      entry.attach(connection);
      // A flush fails only with its connection: `#onUp` attaches the entry to the next one.
      connection.flush().then(entry.confirm, () => {});
    });
  }
}
