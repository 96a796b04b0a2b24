import type { Bus, BusSubscription } from '@tailrace/bus/bus';
import type { Clock, Timer } from '@tailrace/platform/clock';
import { tailrace } from '@tailrace/protocol/generated';

const { SparkplugAnnouncement } = tailrace.v1;

export const announcementSubject = 'tailrace.v1.sparkplug-host';
const announceEveryMs = 1_000;
/** Without an announcement for this long, a node of ingest counts as gone. */
export const goneMs = 3_500;
/** How long a new node of ingest listens before it connects to brokers: others announce themselves meanwhile. */
export const listenMs = 2_000;
/** More nodes of ingest are ignored. */
const nodesMax = 1_000;

/** What a node of ingest is to the others. */
export interface HostPeer {
  readonly node: string;
  /** Names of the brokers for which it has hosts. */
  readonly hosts: readonly string[];
  /** Of these, those to which they are connected. */
  readonly connected: readonly string[];
  /** Of these, those for which it publishes the STATE of the host, or is about to. */
  readonly states: readonly string[];
}

/** The hosts of this node. */
export type OwnHosts = Omit<HostPeer, 'node'>;

interface KnownPeer extends HostPeer {
  readonly boot: string;
  readonly receivedMs: number;
}

export interface HostPeersOptions {
  readonly bus: Pick<Bus, 'publish' | 'subscribe' | 'stats'>;
  readonly node: string;
  /** ID of this run of the process. */
  readonly boot: string;
  readonly clock: Clock;
  /** Returns what this node is to the others. */
  readonly own: () => OwnHosts;
  /** The peers may have changed. Called every second, and after each change. */
  readonly onChange: () => void;
}

/**
 * The nodes of ingest with Sparkplug hosts. Each announces every second to which brokers it is connected. While the bus
 * is away, the last known ones stay: two owners of an edge node append its reports twice with the same message IDs,
 * and no owner loses them.
 */
export class HostPeers {
  readonly #options: HostPeersOptions;
  readonly #peers = new Map<string, KnownPeer>();
  #subscription: BusSubscription | undefined;
  #timer: Timer | undefined;
  #connectedMs: number;
  #isStopped = false;

  constructor(options: HostPeersOptions) {
    this.#options = options;
    this.#connectedMs = options.clock.monotonic();
  }

  /** Receives the announcements of the others. Called once the bus is connected. Rejects as `Bus.subscribe` does. */
  async subscribe(): Promise<void> {
    const subscription = await this.#options.bus.subscribe(announcementSubject, (payload) => this.#receive(payload));
    this.#subscription = subscription;
    if (this.#isStopped) await subscription.stop();
    else this.announce();
  }

  /** Resolves when others have had the time to announce themselves. Does not wait for the bus. */
  async start(): Promise<void> {
    const { clock } = this.#options;
    this.#timer = clock.every(announceEveryMs, () => this.#tick());
    this.announce();
    await clock.sleep(listenMs);
  }

  /** Announces that this node has no hosts any more. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#publish({ hosts: [], connected: [], states: [] });
    void this.#subscription?.stop();
  }

  /** Announces this node now, because something has changed. */
  announce(): void {
    if (!this.#isStopped) this.#publish(this.#options.own());
  }

  /** Returns the names of the nodes that have a host for a broker, this one included if it has. */
  hostsOf(broker: string): readonly string[] {
    return this.#with(({ hosts }) => hosts.includes(broker));
  }

  /** Returns the names of the nodes that are connected to a broker, this one included if it is. */
  connectedTo(broker: string): readonly string[] {
    return this.#with(({ connected }) => connected.includes(broker));
  }

  /** Returns the name of the node that publishes the STATE of the host of a broker; of several the first by name. */
  stateHostOf(broker: string): string | undefined {
    return [...this.#with(({ states }) => states.includes(broker))].sort()[0];
  }

  #with(matches: (hosts: OwnHosts) => boolean): readonly string[] {
    const { node, own } = this.#options;
    const names = [...this.#peers.values()].filter(matches).map((peer) => peer.node);
    return matches(own()) ? [node, ...names] : names;
  }

  #receive(payload: Uint8Array): void {
    const { node, boot, clock, onChange } = this.#options;
    const announcement = decoded(payload);
    if (announcement === undefined || announcement.node === '' || announcement.boot === boot) return;
    // Two processes with one name are a mistake of the installation: each counts itself alone.
    if (announcement.node === node) return;
    const { hosts, connected, states } = announcement;
    if (hosts.length === 0) {
      if (this.#peers.delete(announcement.node)) onChange();
      return;
    }
    const before = this.#peers.get(announcement.node);
    if (before === undefined && this.#peers.size >= nodesMax) return;
    const { boot: peerBoot } = announcement;
    const peer = { node: announcement.node, boot: peerBoot, hosts, connected, states, receivedMs: clock.monotonic() };
    this.#peers.set(peer.node, peer);
    const textOf = (each: OwnHosts) => JSON.stringify([each.hosts, each.connected, each.states]);
    if (before === undefined || textOf(before) !== textOf(peer)) onChange();
  }

  #tick(): void {
    const { bus, clock, own, onChange } = this.#options;
    const nowMs = clock.monotonic();
    this.#publish(own());
    if (!bus.stats().connected) this.#connectedMs = nowMs;
    // Announcements are missing because of the bus.
    if (nowMs - this.#connectedMs >= goneMs) {
      for (const [name, { receivedMs }] of this.#peers) if (nowMs - receivedMs > goneMs) this.#peers.delete(name);
    }
    onChange();
  }

  #publish({ hosts, connected, states }: OwnHosts): void {
    const { bus, node, boot } = this.#options;
    const message = { node, boot, hosts: [...hosts], connected: [...connected], states: [...states] };
    bus.publish(announcementSubject, SparkplugAnnouncement.encode(message).finish());
  }
}

function decoded(payload: Uint8Array): tailrace.v1.SparkplugAnnouncement | undefined {
  try {
    return SparkplugAnnouncement.decode(payload);
  } catch {
    return undefined;
  }
}
