import type { Bus, BusSubscription } from '@tailrace/bus/bus';
import { tailrace } from '@tailrace/protocol/generated';
import type { NodeState, Ring } from './ring.ts';
import { announcementSubject } from './subjects.ts';

const { Announcement } = tailrace.v1;

/** Says on the bus what this node owns, and tells the ring what the others say. */
export class Announcer {
  readonly counts = { foreign: 0 };
  readonly #bus: Pick<Bus, 'publish' | 'subscribe'>;
  readonly #ring: Ring;
  readonly #epoch: string;
  readonly #now: () => number;
  readonly #self: () => NodeState;
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

  /** At every change, and every 500 ms. */
  announce(leaving = false): void {
    const self = this.#self();
    this.#bus.publish(
      announcementSubject,
      Announcement.encode({ ...self, partitions: [...self.partitions], epoch: this.#epoch, leaving }).finish(),
    );
    if (leaving) this.#ring.left(self.node);
    else this.#ring.heard(self, this.#now());
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
    if (said.epoch !== this.#epoch || said.node === '') this.counts.foreign++;
    else if (said.node === this.#self().node) return;
    else if (said.leaving) this.#ring.left(said.node);
    else {
      const { node, url, generation, partitions, connections } = said;
      this.#ring.heard({ node, url, generation, partitions, connections }, this.#now());
    }
  }
}
