import { createFakeClock, type FakeClock } from '@tailrace/testkit/fake-clock';
import { ClientConnection } from '../src/client-connection.ts';
import type { ClientHandlers, ClientOptions, Disconnected } from '../src/client-options.ts';
import type { InboundMessage } from '../src/inbound-messages.ts';
import { type MemoryWire, wirePair } from '../src/memory-wire.ts';
import type { WireHandlers } from '../src/wire.ts';
import { connack, type RawPacket, shortly, split, type Version } from './raw-packets.ts';

/** A client on memory wires; the test is its server. */
export class ClientFixture {
  readonly clock: FakeClock = createFakeClock();
  readonly client: ClientConnection;
  readonly messages: InboundMessage[] = [];
  readonly payloads: string[] = [];
  readonly topics: string[] = [];
  readonly acknowledged: [packetId: number, reason: number][] = [];
  readonly lost: string[] = [];
  readonly subscribed: [filter: string, reason: number][] = [];
  readonly disconnected: Disconnected[] = [];
  /** Whether messages are acknowledged at once. */
  acknowledges = true;
  dials = 0;
  server!: RawServer;
  /** Those of the last dial. */
  serverWireHandlers!: WireHandlers;
  readonly #version: Version;

  constructor(options: Partial<ClientOptions>) {
    this.#version = options.version ?? 4;
    const handlers: ClientHandlers = {
      publish: (message) => {
        this.messages.push(message);
        this.payloads.push(message.payload.toString());
        this.topics.push(message.topic);
        if (this.acknowledges && message.ticket >= 0) this.client.settle(message.ticket, 0);
      },
      acknowledged: (packetId, _message, reason) => this.acknowledged.push([packetId, reason]),
      lost: (messages) => this.lost.push(...messages.map(({ payload }) => Buffer.from(payload).toString())),
      subscribed: ({ filter }, reason) => this.subscribed.push([filter, reason]),
      disconnected: (disconnected) => this.disconnected.push(disconnected),
    };
    let ids = 0;
    this.client = new ClientConnection(
      {
        clock: this.clock,
        random: () => 0,
        dial: (wireHandlers) => {
          const [near, far] = wirePair();
          near.handlers = wireHandlers;
          this.serverWireHandlers = wireHandlers;
          this.server = new RawServer(far, near);
          this.dials++;
          return near;
        },
        credentials: () => ({}),
        version: 4,
        clientId: 'client-1',
        cleanStart: true,
        sessionExpirySeconds: 3600,
        keepAliveSeconds: 60,
        receiveMaximum: 64,
        packetBytesMax: 262_144,
        topicAliasMaximum: 10,
        unackedMax: 100,
        subscriptions: [],
        isSubscribed: false,
        newExchangeId: () => `id-${++ids}`,
        ...options,
      },
      handlers,
    );
  }

  /** Connects; the server has not answered. */
  start(): { fixture: ClientFixture; server: RawServer } {
    this.client.start();
    return { fixture: this, server: this.server };
  }

  /** Connects and opens; what came before is taken. */
  open(): { fixture: ClientFixture; server: RawServer } {
    this.start();
    this.server.send(connack(this.#version));
    this.server.take();
    return { fixture: this, server: this.server };
  }

  /** Closes a connection, and accepts the next one. */
  async reconnect(server: RawServer, { present }: { present: boolean }): Promise<RawServer> {
    server.close();
    await this.clock.advance(1);
    this.server.send(connack(this.#version, { present }));
    return this.server;
  }

  /** Settles the message at an index of `messages`, and writes what may be written. */
  settle(index: number, reason = 0): void {
    this.client.settle(this.messages[index]!.ticket, reason);
    this.client.flush();
  }
}

/** The server side of a memory wire, which sends bytes. */
export class RawServer {
  isClosed = false;
  readonly #wire: MemoryWire;
  /** The other end. */
  readonly #client: MemoryWire;
  #bytes: Buffer[] = [];

  constructor(wire: MemoryWire, client: MemoryWire) {
    this.#wire = wire;
    this.#client = client;
    wire.handlers = {
      bytes: (chunk) => this.#bytes.push(Buffer.from(chunk)),
      writable() {},
      closed: () => {
        this.isClosed = true;
      },
    };
  }

  send(...packets: readonly Buffer[]): void {
    this.#wire.send(Buffer.concat(packets));
  }

  /** Returns the packets that came since the last call. */
  take(): RawPacket[] {
    const packets = split(Buffer.concat(this.#bytes));
    this.#bytes = [];
    return packets;
  }

  answers(): string[] {
    return this.take().map(shortly);
  }

  /** Stops reading: the client is notified above `highWaterBytes`. */
  pause(highWaterBytes: number): void {
    this.#wire.pause();
    this.#client.highWaterBytes = highWaterBytes;
  }

  resume(): void {
    this.#wire.resume();
  }

  close(): void {
    this.#wire.close();
  }
}
