import type { Bus, BusSubscription } from '@tailrace/bus/bus';
import { tailrace } from '@tailrace/protocol/generated';
import { announcementSubject } from '../subjects.ts';
import { BusMonitor } from './bus-monitor.ts';
import type { NodeState, Ring } from './ring.ts';

const { Announcement } = tailrace.v1;

/** How often `look` is to be called: a fraction of the silence that makes a node suspect. */
export const lookMs = 100;

/** Says on the bus what this node owns, and tells the ring what the others say, and who has fallen silent. */
export class Announcer {
  readonly counts = { foreign: 0 };
  readonly #bus: Pick<Bus, 'publish' | 'subscribe'>;
  readonly #ring: Ring;
  readonly #epoch: string;
  readonly #now: () => number;
  readonly #self: () => NodeState;
  readonly #busMonitor = new BusMonitor(lookMs);
  #node: string | undefined;
  #subscription: BusSubscription | undefined;

  constructor(parts: {
    bus: Pick<Bus, 'publish' | 'subscribe'>;
    ring: Ring;
    epoch: string;
    /** Monotonic ms. */
    now: () => number;
    self: () => NodeState;
  }) {
    this.#bus = parts.bus;
    this.#ring = parts.ring;
    this.#epoch = parts.epoch;
    this.#now = parts.now;
    this.#self = parts.self;
  }

  async start(): Promise<void> {
    this.#subscription = await this.#bus.subscribe(announcementSubject, (bytes) => this.#heard(bytes));
    this.announce();
  }

  /** Whether this node hears nobody, not even itself: what it knows of others stands still. */
  get deaf(): boolean {
    return this.#busMonitor.deaf(this.#now());
  }

  /** At every change, and every 500 ms. */
  announce(leaving = false): void {
    const self = this.#self();
    const { partitions, acting } = self;
    this.#node = self.node;
    this.#bus.publish(
      announcementSubject,
      Announcement.encode({
        ...self,
        partitions: [...partitions],
        acting: [...acting],
        epoch: this.#epoch,
        leaving,
      }).finish(),
    );
    if (leaving) this.#ring.left(self.node, this.#now());
    else this.#ring.heard(self, this.#now());
  }

  /** Every `lookMs`. */
  look(): void {
    const nowMs = this.#now();
    const excusedMs = this.#busMonitor.look(nowMs);
    if (excusedMs > 0) this.#ring.excuse(excusedMs);
    this.#ring.expire(nowMs);
  }

  /** Does nothing if it was not started: another process may go by the same name, and must not be said to leave. */
  async stop(): Promise<void> {
    const subscription = this.#subscription;
    this.#subscription = undefined;
    if (subscription === undefined) return;
    this.announce(true);
    await subscription.stop();
  }

  #heard(bytes: Uint8Array): void {
    let said: tailrace.v1.Announcement;
    try {
      said = Announcement.decode(bytes);
    } catch {
      this.counts.foreign++;
      return;
    }
    const nowMs = this.#now();
    if (said.epoch !== this.#epoch || said.node === '') this.counts.foreign++;
    else if (said.node === this.#node) this.#busMonitor.echo(nowMs);
    else if (said.leaving) this.#ring.left(said.node, nowMs);
    else {
      const { node, url, generation, partitions, acting, connections, connectionsMax, reachable, draining } = said;
      this.#ring.heard(
        { node, url, generation, partitions, acting, connections, connectionsMax, reachable, draining },
        nowMs,
      );
    }
  }
}
