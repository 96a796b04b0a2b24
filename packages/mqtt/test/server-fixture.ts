import { createFakeClock, type FakeClock } from '@tailrace/testkit/fake-clock';
import type { ConnectRequest } from '../src/connect-request.ts';
import type { InboundMessage } from '../src/inbound-messages.ts';
import { type MemoryWire, wirePair } from '../src/memory-wire.ts';
import { SecondWheel } from '../src/one-second-wheel.ts';
import type { OutboundMessage } from '../src/publish.ts';
import { ServerConnection } from '../src/server-connection.ts';
import { type ClosedConnection, type ServerHandlers, type ServerLimits, serverLimits } from '../src/server-options.ts';
import type { SessionState } from '../src/session-state.ts';
import { type ConnectFields, connect, type RawPacket, shortly, split, type Version } from './raw-packets.ts';

/** A message that the server has received, with a copy of its payload. */
export interface Received {
  readonly connection: ServerConnection;
  readonly message: InboundMessage;
  readonly payload: string;
}

export interface FixtureOptions {
  limits?: Partial<ServerLimits>;
  /** Whether messages are acknowledged at once. Default true. */
  acknowledges?: boolean;
  handlers?: Partial<ServerHandlers<ServerConnection>>;
}

/** A server on memory wires whose log the test holds. It grants the filters that end with `/command`. */
export class ServerFixture {
  readonly clock: FakeClock = createFakeClock();
  readonly wheel: SecondWheel = new SecondWheel(this.clock);
  readonly sessions = new Map<string, SessionState>();
  readonly received: Received[] = [];
  readonly closed: ClosedConnection[] = [];
  readonly requests: ConnectRequest[] = [];
  readonly acknowledged: { message: OutboundMessage; reason: number }[] = [];
  readonly unconfirmed: OutboundMessage[] = [];
  readonly retainedFor: string[] = [];
  acknowledges: boolean;
  readonly #limits: ServerLimits;
  readonly #handlers: ServerHandlers<ServerConnection>;
  #ids = 0;

  constructor({ limits = {}, acknowledges = true, handlers = {} }: FixtureOptions = {}) {
    this.acknowledges = acknowledges;
    this.#limits = { ...serverLimits, ...limits };
    this.wheel.start();
    this.#handlers = {
      authorize: (connection, request) => {
        this.requests.push(request);
        connection.authorized();
      },
      claim: (connection, { clientId }) => connection.claimed(this.sessions.get(clientId)),
      publish: (connection, message) => {
        this.received.push({ connection, message, payload: message.payload.toString() });
        if (!this.acknowledges || message.ticket < 0) return;
        connection.settle(message.ticket, 0);
      },
      subscribe: (_connection, { filter, qos }) => (filter.endsWith('/command') ? qos : 0x8f),
      retained: (_connection, filter) => this.retainedFor.push(filter),
      acknowledged: (_connection, message, reason) => this.acknowledged.push({ message, reason }),
      unconfirmed: (_connection, message) => this.unconfirmed.push(message),
      closed: (connection, closed) => {
        this.closed.push(closed);
        if (connection.session === undefined) return;
        if (closed.sessionExpirySeconds > 0) this.sessions.set(connection.clientId, connection.session);
        else this.sessions.delete(connection.clientId);
      },
      ...handlers,
    };
  }

  /** A socket without a packet yet. */
  dial(): RawClient {
    const [near, far] = wirePair();
    const connection = new ServerConnection(far, {
      clock: this.clock,
      wheel: this.wheel,
      handlers: this.#handlers,
      limits: this.#limits,
      newClientId: () => `assigned-${++this.#ids}`,
      newExchangeId: () => `id-${++this.#ids}`,
    });
    far.handlers = connection;
    return new RawClient(near, far, connection);
  }

  /** A client that has sent CONNECT; what came before is taken. */
  open(fields: ConnectFields = {}): RawClient {
    const client = this.dial();
    client.version = fields.version ?? 4;
    client.send(connect(fields));
    client.take();
    return client;
  }

  /** Settles the message at an index of `received`, and writes what may be written. */
  settle(index: number, reason = 0, text?: string): void {
    const { connection, message } = this.received[index]!;
    connection.settle(message.ticket, reason, text);
    connection.flush();
  }

  payloads(): string[] {
    return this.received.map(({ payload }) => payload);
  }
}

/** The client side of a memory wire, which sends bytes. */
export class RawClient {
  version: Version = 4;
  isClosed = false;
  readonly wire: MemoryWire;
  /** The end of the server. */
  readonly serverWire: MemoryWire;
  readonly connection: ServerConnection;
  #bytes: Buffer[] = [];

  constructor(wire: MemoryWire, serverWire: MemoryWire, connection: ServerConnection) {
    this.wire = wire;
    this.serverWire = serverWire;
    this.connection = connection;
    wire.handlers = {
      bytes: (chunk) => this.#bytes.push(Buffer.from(chunk)),
      writable() {},
      closed: () => {
        this.isClosed = true;
      },
    };
  }

  send(...packets: readonly Buffer[]): void {
    this.wire.send(Buffer.concat(packets));
  }

  /** Returns the packets that came since the last call. */
  take(): RawPacket[] {
    const packets = split(Buffer.concat(this.#bytes));
    this.#bytes = [];
    return packets;
  }

  /** As `take`, as texts of `shortly`. */
  answers(): string[] {
    return this.take().map(shortly);
  }

  close(): void {
    this.wire.close();
  }
}
