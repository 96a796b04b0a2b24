import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Owner } from '../ownership/ring.ts';
import type { Placement } from './placement.ts';

/** The part of a session that migration needs. */
export interface Resident {
  /** The channels that the client is subscribed to. */
  watched(): Iterable<{ readonly pattern: string; readonly partitions: readonly number[] }>;
  /**
   * Sends `moved` to the client. Returns false if it is no longer subscribed to the channel, or was sent the same
   * before: no client is asked twice.
   */
  moved(channel: string, url: string): boolean;
}

export interface MigrationLimits {
  /** How long a new owner must have been the owner before clients are asked to move to it. */
  readonly settleMs: number;
  /** Clients asked to move a second, at most. */
  readonly migrationsPerSecond: number;
}

const tickMs = 100;

interface PendingMove {
  readonly resident: Resident;
  readonly channel: string;
  readonly partition: number;
}

/**
 * Asks clients to move to the owner of their device after partitions changed owners: a few at a time, in random order,
 * so that the new owner is not overloaded. Visits all clients once, when the new owner has settled. Costs nothing while
 * the ring does not change.
 */
export class Migration {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #limits: MigrationLimits;
  readonly #placement: Placement;
  readonly #residents: () => Iterable<Resident>;
  /** By partition: the owner that clients were last asked to move to, until another node serves the partition. */
  readonly #settled = new Map<number, string>();
  /** Partitions with a new owner, and when that will have settled, monotonic ms. */
  readonly #settling = new Map<number, { readonly owner: string; readonly dueMs: number }>();
  /** In random order. Taken from the end. */
  #waiting: PendingMove[] = [];
  #allowance = 0;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: {
    clock: Clock;
    /** In [0, 1). */
    random: () => number;
    limits: MigrationLimits;
    placement: Placement;
    residents: () => Iterable<Resident>;
  }) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#limits = options.limits;
    this.#placement = options.placement;
    this.#residents = options.residents;
  }

  /** Number of moves that clients are still to be asked for. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Takes the owner of a partition, as in the ring. Clients are not asked to move to a standby owner. */
  changed(partition: number, owner: Owner | undefined): void {
    const known = this.#settling.get(partition);
    if (known !== undefined && known.owner === owner?.node && !owner.isStandby) return;
    this.#settling.delete(partition);
    // Clients that connected here meanwhile were not redirected. So when the owner is back they are asked, however
    // short its absence was.
    if (this.#settled.get(partition) !== owner?.node) this.#settled.delete(partition);
    if (owner === undefined || owner.isStandby || this.#stopped) return;
    if (this.#settled.get(partition) === owner.node) return;
    this.#waiting = this.#waiting.filter((each) => each.partition !== partition);
    this.#settling.set(partition, { owner: owner.node, dueMs: this.#clock.monotonic() + this.#limits.settleMs });
    this.#arm();
  }

  /** Asks no further clients. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#settling.clear();
    this.#waiting = [];
  }

  /** One timer, only while there is something to do. */
  #arm(): void {
    if (this.#timer !== undefined || (this.#settling.size === 0 && this.#waiting.length === 0)) return;
    let dueMs = Number.POSITIVE_INFINITY;
    for (const settling of this.#settling.values()) dueMs = Math.min(dueMs, settling.dueMs);
    const untilDueMs = Math.max(tickMs, dueMs - this.#clock.monotonic());
    this.#timer = this.#clock.after(this.#waiting.length > 0 ? tickMs : untilDueMs, () => {
      this.#timer = undefined;
      this.#tick();
      this.#arm();
    });
  }

  #tick(): void {
    this.#askNext();
    const nowMs = this.#clock.monotonic();
    const due = new Set<number>();
    for (const [partition, { owner, dueMs }] of this.#settling) {
      if (dueMs > nowMs) continue;
      this.#settling.delete(partition);
      this.#settled.set(partition, owner);
      due.add(partition);
    }
    if (due.size > 0) this.#collect(due);
  }

  /** Collects the subscriptions to a single device of these partitions, in random order. */
  #collect(partitions: ReadonlySet<number>): void {
    const found: PendingMove[] = [];
    for (const resident of this.#residents()) {
      for (const { pattern, partitions: of } of resident.watched()) {
        const partition = of[0]!;
        if (!partitions.has(partition) || this.#placement.elsewhere(pattern) === undefined) continue;
        found.push({ resident, channel: pattern, partition });
      }
    }
    // Fisher–Yates shuffle; Knuth, The Art of Computer Programming, volume 2, 3.4.2, algorithm P.
    this.#waiting.push(...found);
    for (let i = this.#waiting.length - 1; i > 0; i--) {
      const j = Math.floor(this.#random() * (i + 1));
      [this.#waiting[i], this.#waiting[j]] = [this.#waiting[j]!, this.#waiting[i]!];
    }
  }

  /** Asks as many clients as the rate allows. If the owner is full or has gone, they stay. */
  #askNext(): void {
    const perTick = (this.#limits.migrationsPerSecond * tickMs) / 1_000;
    this.#allowance = Math.min(this.#allowance + perTick, Math.max(1, perTick));
    while (this.#allowance >= 1 && this.#waiting.length > 0) {
      const { resident, channel } = this.#waiting.pop()!;
      const url = this.#placement.elsewhere(channel);
      if (url !== undefined && resident.moved(channel, url)) this.#allowance--;
    }
  }
}
