import type { Bus, BusSubscription } from '@tailrace/bus/bus';
import type { Clock } from '@tailrace/platform/clock';
import { tailrace } from '@tailrace/protocol/generated';
import { announcementSubject } from '../subjects.ts';
import { BusMonitor } from './bus-monitor.ts';
import type { NodeState, Ring } from './ring.ts';

const { Announcement } = tailrace.v1;

/** Interval of the calls of `check`, ms: a fraction of the time after which a node is suspect. */
export const checkMs = 100;

/** The state of this node that it announces besides its partitions. Only `Assignments` and `Ownership` change it. */
export class LocalNode {
  /** Generation of the last assignment; 0 before the first. */
  generation = 0;
  /** Time of the first assignment, monotonic ms. */
  sinceMs: number | undefined;
  isDraining = false;
  /** The URL where clients reach this node. Set once it listens. */
  url = '';
}

/** Announces the partitions of this node on the bus, and passes the announcements of other nodes to the ring. */
export class Announcer {
  /** Announcements that are invalid, or of another epoch of the log. */
  readonly counts = { rejected: 0 };
  readonly #bus: Pick<Bus, 'publish' | 'subscribe'>;
  readonly #ring: Ring;
  readonly #epoch: string;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #self: () => NodeState;
  readonly #busMonitor = new BusMonitor(checkMs);
  #node: string | undefined;
  #subscription: BusSubscription | undefined;

  constructor(options: {
    bus: Pick<Bus, 'publish' | 'subscribe'>;
    ring: Ring;
    epoch: string;
    clock: Pick<Clock, 'monotonic'>;
    self: () => NodeState;
  }) {
    this.#bus = options.bus;
    this.#ring = options.ring;
    this.#epoch = options.epoch;
    this.#clock = options.clock;
    this.#self = options.self;
  }

  async start(): Promise<void> {
    this.#subscription = await this.#bus.subscribe(announcementSubject, (bytes) => this.#onAnnouncement(bytes));
    this.announce();
  }

  /**
   * Whether this node receives nothing on the bus, not even its own announcements. Then it does not know the present
   * state of other nodes.
   */
  get isIsolated(): boolean {
    return this.#busMonitor.isIsolated(this.#clock.monotonic());
  }

  /** Announces the state of this node. Called at every change, and every 500 ms. */
  announce(leaving = false): void {
    const { node, url, generation, partitions, standby, connections, connectionsMax, reachable, draining } =
      this.#self();
    this.#node = node;
    this.#bus.publish(
      announcementSubject,
      Announcement.encode({
        node,
        url,
        generation,
        partitions: [...partitions],
        acting: [...standby],
        connections,
        connectionsMax,
        reachable,
        draining,
        epoch: this.#epoch,
        leaving,
      }).finish(),
    );
    const nowMs = this.#clock.monotonic();
    if (leaving) this.#ring.left(node, nowMs);
    else {
      const state = { node, url, generation, partitions, standby, connections, connectionsMax, reachable, draining };
      this.#ring.announced(state, nowMs);
    }
  }

  /** Finds nodes that have become suspect or absent. Called every `checkMs`. */
  check(): void {
    const nowMs = this.#clock.monotonic();
    const excusedMs = this.#busMonitor.check(nowMs);
    if (excusedMs > 0) this.#ring.extendDeadlines(excusedMs);
    this.#ring.expire(nowMs);
  }

  /** Announces that this node leaves. Does nothing before `start`: another process may have the same name. */
  async stop(): Promise<void> {
    const subscription = this.#subscription;
    this.#subscription = undefined;
    if (subscription === undefined) return;
    this.announce(true);
    await subscription.stop();
  }

  #onAnnouncement(bytes: Uint8Array): void {
    let announced: tailrace.v1.Announcement;
    try {
      announced = Announcement.decode(bytes);
    } catch {
      this.counts.rejected++;
      return;
    }
    const nowMs = this.#clock.monotonic();
    if (announced.epoch !== this.#epoch || announced.node === '') this.counts.rejected++;
    else if (announced.node === this.#node) this.#busMonitor.echo(nowMs);
    else if (announced.leaving) this.#ring.left(announced.node, nowMs);
    else {
      const { node, url, generation, partitions, connections, connectionsMax, reachable, draining } = announced;
      const state = { node, url, generation, partitions, connections, connectionsMax, reachable, draining };
      this.#ring.announced({ ...state, standby: announced.acting }, nowMs);
    }
  }
}
