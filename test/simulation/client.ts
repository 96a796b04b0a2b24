import { createStream, type Stream } from '@tailrace/client/stream';
import type { Subscription } from '@tailrace/client/subscription';
import type { WebSocketConstructor } from '@tailrace/client/websocket';
import type { MemoryConnection } from '@tailrace/fanout/memory-transport';
import type { Clock } from '@tailrace/platform/clock';
import { positionsFromToken } from '@tailrace/protocol/position';
import type { Delivery } from '@tailrace/protocol/report';
import type { AlarmWatch } from './alarms.ts';
import type { Chance } from './chance.ts';
import type { Checker, Publication, Watch } from './checker.ts';
import { partitions } from './limits.ts';
import { Link } from './link.ts';
import type { SimulatedNode } from './node.ts';
import { Process, type Skew } from './process.ts';
import type { Scheduler } from './scheduler.ts';
import type { Violations } from './violation.ts';
import { missingFrom, type WireChecker, type WireConnection, type WireMessage } from './wire-checker.ts';

export interface ClientParts {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  readonly skew: Skew;
  /** What its token grants. */
  readonly rights: readonly string[];
  /** Default: the rights, see `verify` in `world.ts`. */
  readonly token?: string;
  readonly checker: Checker;
  readonly wire: WireChecker;
  readonly violations: Violations;
  /** The node at an address; undefined: there is none. */
  readonly reach: (url: string) => SimulatedNode | undefined;
  readonly onFrame: (client: string, text: string) => void;
  readonly onError: (what: string, thrown: unknown) => void;
}

/** Short times, so that much happens: quick to detect a server without pongs, quick to reconnect. */
const streamTimes = { pingMs: 1_000, deadlineMs: 1_500, backoff: { baseMs: 100, capMs: 1_000 } };

/** Buffer of a loop: small, so that it is full often. */
const bufferReportsMax = { min: 2, max: 20 };

/** How a program receives reports. */
export type Consumption = 'callbacks' | 'loop';

interface Consumer {
  readonly watch: Watch;
  readonly consumption: Consumption;
  /** Whether a loop reads the rest of its buffer after unsubscribe, or is left. */
  readonly drains: boolean;
  subscription: Subscription | undefined;
  isUnsubscribed: boolean;
}

/** A refused connection is known after this long, ms. */
const refusalMs = 5;

/** A program that uses the client library, on a network of its own. */
export class SimulatedClient {
  readonly name: string;
  readonly rights: readonly string[];
  readonly link: Link;
  readonly stream: Stream;
  /** The latest one. */
  connection: MemoryConnection | undefined;
  readonly #parts: ClientParts;
  /** Processing time of a loop for a report, ms. */
  loopMs = 0;
  readonly #alarms: { readonly watch: AlarmWatch; readonly subscription: Subscription }[] = [];
  /** By channel. */
  readonly #consumers = new Map<string, Consumer>();
  readonly clock: Clock;
  readonly #chance: Chance;
  /** By the ID that the library chose for a subscription. */
  readonly #consumerById = new Map<string, Consumer>();

  constructor(parts: ClientParts) {
    const { name, scheduler, chance, rights } = parts;
    this.name = name;
    this.rights = rights;
    this.#parts = parts;
    this.link = new Link(scheduler, chance.fork());
    this.clock = new Process(scheduler, parts.skew).clock;
    this.stream = createStream({
      url: 'ws://any',
      token: parts.token ?? rights.join(','),
      WebSocket: this.#sockets(),
      clock: this.clock,
      random: chance.fork().random,
      ...streamTimes,
    });
    this.#chance = chance.fork();
  }

  get channels(): readonly string[] {
    return [...this.#consumers.keys()];
  }

  subscribe(channel: string, consumption: Consumption): void {
    this.#subscribe(channel, consumption, this.#parts.checker.watch(this.name, channel));
  }

  /**
   * Restarts the program at the position of the library: reports up to there count as delivered. Without a position it
   * starts again.
   */
  restart(channel: string): void {
    const consumer = this.#consumers.get(channel);
    if (consumer === undefined) return;
    const { watch, consumption, subscription } = consumer;
    const position = subscription?.position;
    if (position === undefined) {
      this.unsubscribe(channel);
      this.subscribe(channel, consumption);
      return;
    }
    consumer.isUnsubscribed = true;
    subscription?.unsubscribe();
    watch.restarted(positionsFromToken(position));
    this.#subscribe(channel, consumption, watch, position);
  }

  pause(channel: string): void {
    this.#consumers.get(channel)?.subscription?.pause();
  }

  resume(channel: string): void {
    this.#consumers.get(channel)?.subscription?.resume();
  }

  #subscribe(channel: string, consumption: Consumption, watch: Watch, after?: string): void {
    const drains = this.#chance.happens(0.5);
    const consumer: Consumer = { watch, consumption, drains, subscription: undefined, isUnsubscribed: false };
    // Before the library sends its request, which it may do at once.
    this.#consumers.set(channel, consumer);
    const take = (reports: readonly Delivery[]) => {
      if (consumption === 'callbacks') watch.receive(reports.map(publicationOf));
    };
    const { min, max } = bufferReportsMax;
    consumer.subscription = this.stream.subscribe(channel, {
      after,
      bufferReportsMax: this.#chance.whole(min, max),
      onSnapshot: take,
      onReports: take,
      onState: (state) => {
        if (state.name !== 'live') return;
        if (state.missing !== undefined) watch.addMissing(state.missing);
        // A connection was lost during a snapshot: the client is notified that reports in between may be lost.
        else if (state.recovered === false) watch.reset();
      },
    });
    if (consumption === 'loop')
      this.#loop(consumer, consumer.subscription).catch((thrown: unknown) =>
        this.#parts.onError(`the loop of ${this.name} on ${channel} has stopped`, thrown),
      );
  }

  async #loop(consumer: Consumer, reports: AsyncIterable<Delivery>): Promise<void> {
    for await (const report of reports) {
      if (consumer.isUnsubscribed && !consumer.drains) return;
      if (!consumer.isUnsubscribed) consumer.watch.receive([publicationOf(report)]);
      if (this.loopMs > 0) await this.clock.sleep(this.#chance.between(0, 2 * this.loopMs));
    }
  }

  /** Subscribes to the alarms of a channel. */
  watchAlarms(channel: string, watch: AlarmWatch): void {
    const subscription = this.stream.subscribe(channel, {
      alarms: true,
      onAlarms: (...events) => watch.receive(...events),
      onState: (state) => {
        if (state.name === 'live') watch.live(state.recovered === true);
      },
      onSnapshotComplete: () => watch.snapshotComplete(),
    });
    this.#alarms.push({ watch, subscription });
  }

  /** Requests a channel that its token does not cover. The wire checker sees that it receives nothing of it. */
  intrude(channel: string): void {
    this.stream.subscribe(channel, {});
  }

  unsubscribe(channel: string): void {
    const consumer = this.#consumers.get(channel);
    if (consumer === undefined) return;
    consumer.isUnsubscribed = true;
    consumer.subscription?.unsubscribe();
    consumer.watch.isUnsubscribed = true;
    this.#consumers.delete(channel);
  }

  close(): void {
    for (const channel of this.channels) this.unsubscribe(channel);
    for (const { watch } of this.#alarms) watch.isClosed = true;
    this.stream.close();
  }

  /** Returns why the client is not live; undefined if it is. */
  notLive(): string | undefined {
    if (this.stream.state.name !== 'live') return `${this.name} is ${JSON.stringify(this.stream.state)}`;
    for (const [channel, { subscription }] of this.#consumers) {
      const { state } = subscription!;
      if (state.name !== 'live') return `${this.name} on ${channel} is ${JSON.stringify(state)}`;
    }
    for (const { watch, subscription } of this.#alarms)
      if (subscription.state.name !== 'live')
        return `${this.name} on the alarms of ${watch.channel} is ${JSON.stringify(subscription.state)}`;
    return undefined;
  }

  /**
   * While no partition is read: returns the first subscription that does not report all of its partitions as
   * interrupted; undefined if each does.
   */
  notInterrupted(): string | undefined {
    for (const [channel, { subscription }] of this.#consumers) {
      const { state } = subscription!;
      const interrupted = state.name === 'interrupted' ? state.partitions.length : partitions;
      if (state.name === 'live' || interrupted < (channel.endsWith('>') ? partitions : 1))
        return `${this.name} on ${channel} is ${JSON.stringify(state)}`;
    }
    return undefined;
  }

  /** The library sends a message. */
  onSent(text: string): void {
    const { subscribe } = JSON.parse(text) as { subscribe?: { id: string; channel: string; alarms?: boolean } };
    if (subscribe === undefined || subscribe.alarms) return;
    const known = this.#consumerById.get(subscribe.id);
    if (known?.isUnsubscribed) {
      const facts = `${this.name} requests ${subscribe.channel} although it has unsubscribed`;
      this.#parts.violations.add('I7 bounds', facts);
    }
    const consumer = this.#consumers.get(subscribe.channel);
    if (known === undefined && consumer !== undefined) this.#consumerById.set(subscribe.id, consumer);
  }

  /** A frame arrives, before the library sees it. */
  onReceived(text: string, isPublished: boolean, views: Map<number, Watch>, wire: WireConnection | undefined): void {
    this.#parts.onFrame(this.name, text);
    const message = JSON.parse(text) as WireMessage;
    wire?.take(text, message, isPublished);
    const { subscribed, data } = message;
    if (subscribed !== undefined) {
      const watch = this.#consumerById.get(subscribed.id)?.watch;
      if (watch === undefined) return;
      views.set(subscribed.view, watch);
      watch.subscribed(positionsFromToken(subscribed.position));
    } else if (data !== undefined) {
      const watch = views.get(data.view);
      if (data.skipped !== undefined) watch?.addMissing(missingFrom(data.skipped));
      if (data.snapshotComplete === true) watch?.completeSnapshot();
    }
  }

  /** A WebSocket of this client's network. */
  #sockets(): WebSocketConstructor {
    const client = this;
    return class {
      #listeners = new Map<string, (event: never) => void>();
      #connection: MemoryConnection | undefined;
      #left = false;

      constructor(url: string) {
        client.#connect(url, {
          isLeft: () => this.#left,
          onOpening: (connection) => {
            this.#connection = connection;
          },
          onOpen: () => this.#emit('open', {}),
          onText: (text) => this.#emit('message', { data: text }),
          onClose: (code, reason) => this.#emit('close', { code, reason }),
        });
      }

      addEventListener(type: string, listener: (event: never) => void): void {
        this.#listeners.set(type, listener);
      }

      send(text: string): void {
        client.onSent(text);
        this.#connection?.sendMessage(text);
      }

      close(): void {
        if (this.#left) return;
        this.#left = true;
        this.#connection?.leave();
      }

      #emit(type: string, event: object): void {
        if (this.#left) return;
        if (type === 'close') this.#left = true;
        try {
          this.#listeners.get(type)?.(event as never);
        } catch (thrown) {
          client.#parts.onError(`the library of ${client.name} threw at ${type}`, thrown);
        }
      }
    };
  }

  #connect(url: string, socket: SocketEvents): void {
    const { scheduler, reach, wire, rights, chance } = this.#parts;
    const { link } = this;
    const refused = () => void scheduler.at(refusalMs, () => socket.onClose(1006, ''));
    const arrive = () => {
      if (socket.isLeft()) return;
      // The handshake is sent again until it arrives, or the client gives up.
      if (link.isDown) {
        scheduler.at(200, arrive);
        return;
      }
      const node = reach(url);
      const views = new Map<number, Watch>();
      let checked: WireConnection | undefined;
      const isReached = node?.accept(link, `/v1/stream${new URL(url).search}`, {
        isLeft: socket.isLeft,
        message: (frame, isPublished) => {
          const text = String(frame);
          if (!socket.isLeft()) this.onReceived(text, isPublished, views, checked);
          socket.onText(text);
        },
        closed: socket.onClose,
        onOpen: socket.onOpen,
        onRefused: refused,
        onConnection: (connection) => {
          checked = wire.connection(this.name, `${node.name}#${node.startNumber}`, rights);
          this.connection = connection;
          socket.onOpening(connection);
        },
      });
      if (isReached !== true) refused();
    };
    scheduler.at(chance.between(link.delayMs.min, link.delayMs.max), arrive);
  }
}

/** Events of the library's socket. */
interface SocketEvents {
  isLeft(): boolean;
  onOpening(connection: MemoryConnection): void;
  onOpen(): void;
  onText(text: string): void;
  onClose(code: number, reason: string): void;
}

function publicationOf({ device, partition, seq, readings }: Delivery): Publication {
  return { device, partition, seq, value: Number(readings[0]?.value) };
}
