import { createStream, type Stream } from '@tailrace/client/stream';
import type { Subscription } from '@tailrace/client/subscription';
import type { WebSocketConstructor } from '@tailrace/client/websocket';
import { positionsFromToken } from '@tailrace/protocol/position';
import type { Delivery } from '@tailrace/protocol/report';
import type { Chance } from './chance.ts';
import type { Checker, Shown, Watch } from './checker.ts';
import type { ClientSide, ServerConnection } from './connection.ts';
import { partitions } from './limits.ts';
import { Link } from './link.ts';
import type { SimulatedNode } from './node.ts';
import { Process, type Skew } from './process.ts';
import type { Scheduler } from './scheduler.ts';
import { namedFrom, type WireChecker, type WireConnection, type WireMessage } from './wirechecker.ts';

export interface ClientParts {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  readonly skew: Skew;
  /** What its token grants. */
  readonly rights: readonly string[];
  readonly checker: Checker;
  readonly wire: WireChecker;
  /** Where an address leads to now; undefined: nobody is there. */
  readonly reach: (url: string) => SimulatedNode | undefined;
  readonly onFrame: (client: string, text: string) => void;
  readonly onFault: (what: string, thrown: unknown) => void;
}

/** Short times, so that much happens: quick to notice a silent server, quick to come back. */
const streamTimes = { pingMs: 1_000, deadlineMs: 1_500, backoff: { baseMs: 100, capMs: 1_000 } };

/** A refused connection is known after this long, ms. */
const refusalMs = 5;

/** A program that uses the client library, on a network of its own. */
export class SimulatedClient {
  readonly name: string;
  readonly rights: readonly string[];
  readonly link: Link;
  readonly stream: Stream;
  /** The last one. */
  connection: ServerConnection | undefined;
  readonly #parts: ClientParts;
  /** By channel. */
  readonly #watches = new Map<string, Watch>();
  readonly #subscriptions = new Map<string, Subscription>();
  /** By the ID that the library gave a subscription. */
  readonly #watchById = new Map<string, Watch>();

  constructor(parts: ClientParts) {
    const { name, scheduler, chance, rights } = parts;
    this.name = name;
    this.rights = rights;
    this.#parts = parts;
    this.link = new Link(scheduler, chance.fork());
    this.stream = createStream({
      url: 'ws://any',
      token: rights.join(','),
      WebSocket: this.#sockets(),
      clock: new Process(scheduler, parts.skew).clock,
      random: chance.fork().random,
      ...streamTimes,
    });
  }

  get channels(): readonly string[] {
    return [...this.#watches.keys()];
  }

  subscribe(channel: string): void {
    const watch = this.#parts.checker.watch(this.name, channel);
    // Before the library asks, which it may do at once.
    this.#watches.set(channel, watch);
    const subscription = this.stream.subscribe(channel, {
      onSnapshot: (reports) => watch.shown(reports.map(shownOf)),
      onReports: (reports) => watch.shown(reports.map(shownOf)),
      onState: (state) => {
        if (state.name !== 'live') return;
        if (state.missing !== undefined) watch.named(state.missing);
        // A connection was lost before all last values had come: it is told that what lies between may be lost.
        else if (state.recovered === false) watch.reset();
      },
    });
    this.#subscriptions.set(channel, subscription);
  }

  /** Asks for what it has no right to. That it is shown nothing of it is seen on the wire. */
  intrude(channel: string): void {
    this.stream.subscribe(channel, {});
  }

  unsubscribe(channel: string): void {
    this.#subscriptions.get(channel)?.unsubscribe();
    const watch = this.#watches.get(channel);
    if (watch !== undefined) watch.ended = true;
    this.#subscriptions.delete(channel);
    this.#watches.delete(channel);
  }

  close(): void {
    for (const channel of this.channels) this.unsubscribe(channel);
    this.stream.close();
  }

  /** Returns why the client is not live; undefined if it is. */
  notLive(): string | undefined {
    if (this.stream.state.name !== 'live') return `${this.name} is ${JSON.stringify(this.stream.state)}`;
    for (const [channel, { state }] of this.#subscriptions) {
      if (state.name !== 'live') return `${this.name} on ${channel} is ${JSON.stringify(state)}`;
    }
    return undefined;
  }

  /**
   * While no partition is read: returns the first subscription that does not report all of its partitions as
   * interrupted; undefined if each does.
   */
  notInterrupted(): string | undefined {
    for (const [channel, { state }] of this.#subscriptions) {
      const silent = state.name === 'interrupted' ? state.partitions.length : partitions;
      if (state.name === 'live' || silent < (channel.endsWith('>') ? partitions : 1))
        return `${this.name} on ${channel} is ${JSON.stringify(state)}`;
    }
    return undefined;
  }

  /** What the library sends. */
  onSent(text: string): void {
    const { subscribe } = JSON.parse(text) as { subscribe?: { id: string; channel: string } };
    if (subscribe === undefined || this.#watchById.has(subscribe.id)) return;
    const watch = this.#watches.get(subscribe.channel);
    if (watch !== undefined) this.#watchById.set(subscribe.id, watch);
  }

  /** A frame arrives, before the library sees it. */
  onReceived(text: string, isPublished: boolean, views: Map<number, Watch>, wire: WireConnection | undefined): void {
    this.#parts.onFrame(this.name, text);
    const message = JSON.parse(text) as WireMessage;
    wire?.take(text, message, isPublished);
    const { subscribed, data } = message;
    if (subscribed !== undefined) {
      const watch = this.#watchById.get(subscribed.id);
      if (watch === undefined) return;
      views.set(subscribed.view, watch);
      watch.began(positionsFromToken(subscribed.position));
    } else if (data !== undefined) {
      const watch = views.get(data.view);
      if (data.skipped !== undefined) watch?.named(namedFrom(data.skipped));
      if (data.snapshotComplete === true) watch?.completeSnapshot();
    }
  }

  /** A WebSocket of this client's network. */
  #sockets(): WebSocketConstructor {
    const client = this;
    return class {
      #listeners = new Map<string, (event: never) => void>();
      #connection: ServerConnection | undefined;
      #left = false;

      constructor(url: string) {
        client.#connect(url, {
          isLeft: () => this.#left,
          onOpening: (connection) => {
            this.#connection = connection;
          },
          onOpen: () => this.#tell('open', {}),
          onText: (text) => this.#tell('message', { data: text }),
          onClose: (code, reason) => this.#tell('close', { code, reason }),
        });
      }

      addEventListener(type: string, listener: (event: never) => void): void {
        this.#listeners.set(type, listener);
      }

      send(text: string): void {
        client.onSent(text);
        this.#connection?.fromClient(text);
      }

      close(): void {
        if (this.#left) return;
        this.#left = true;
        this.#connection?.leave();
      }

      #tell(type: string, event: object): void {
        if (this.#left) return;
        if (type === 'close') this.#left = true;
        try {
          this.#listeners.get(type)?.(event as never);
        } catch (thrown) {
          client.#parts.onFault(`the library of ${client.name} threw at ${type}`, thrown);
        }
      }
    };
  }

  #connect(
    url: string,
    socket: ClientSide & { isLeft(): boolean; onOpening(connection: ServerConnection): void; onOpen(): void },
  ): void {
    const { scheduler, reach, wire, rights, chance } = this.#parts;
    const { link } = this;
    const arrive = () => {
      if (socket.isLeft()) return;
      // The handshake is sent again until it gets through, or the client has had enough.
      if (link.cut) {
        scheduler.at(200, arrive);
        return;
      }
      const node = reach(url);
      const views = new Map<number, Watch>();
      let checked: WireConnection | undefined;
      const side: ClientSide = {
        onText: (text, isPublished) => {
          if (!socket.isLeft()) this.onReceived(text, isPublished, views, checked);
          socket.onText(text, isPublished);
        },
        onClose: socket.onClose,
      };
      const connection = node?.accept(link, side, socket.onOpen);
      if (node === undefined || connection === undefined) {
        scheduler.at(refusalMs, () => socket.onClose(1006, ''));
        return;
      }
      checked = wire.connection(this.name, `${node.name}#${node.incarnation}`, rights);
      this.connection = connection;
      socket.onOpening(connection);
    };
    scheduler.at(chance.between(link.delayMs.min, link.delayMs.max), arrive);
  }
}

function shownOf({ device, partition, seq, readings }: Delivery): Shown {
  return { device, partition, seq, value: Number(readings[0]?.value) };
}
