import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Owner } from '../ownership/ring.ts';
import type { Placement } from './placement.ts';

/** A client as migration sees it. */
export interface Resident {
  /** What it watches here. */
  watched(): Iterable<{ readonly pattern: string; readonly partitions: readonly number[] }>;
  /** Tells it where a channel is. False where it does not watch it any more, or was told the same before: nobody is asked twice. */
  moved(channel: string, url: string): boolean;
}

export interface MigrationLimits {
  /** How long a new owner must have been the owner before anybody is sent to it. */
  readonly settleMs: number;
  /** Clients told a second, at most. */
  readonly migrationsPerSecond: number;
}

const tickMs = 100;

interface Waiting {
  readonly resident: Resident;
  readonly channel: string;
  readonly partition: number;
}

/**
 * After partitions have changed hands: asks the clients whose devices are elsewhere now to go there, a few at a time and in no order, so that the new owner
 * is not overrun. Looks at all clients once, when the new owner has settled; costs nothing while the ring stands still.
 */
export class Migration {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #limits: MigrationLimits;
  readonly #placement: Placement;
  readonly #residents: () => Iterable<Resident>;
  /** By partition: the owner that clients were last asked to go to, for as long as nobody else has served it since. */
  readonly #settled = new Map<number, string>();
  /** Partitions with a new owner, and when they will have settled, monotonic ms. */
  readonly #settling = new Map<number, { readonly owner: string; readonly dueMs: number }>();
  /** The next is the last. */
  #waiting: Waiting[] = [];
  #allowance = 0;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(parts: {
    clock: Clock;
    /** In [0, 1). */
    random: () => number;
    limits: MigrationLimits;
    placement: Placement;
    residents: () => Iterable<Resident>;
  }) {
    this.#clock = parts.clock;
    this.#random = parts.random;
    this.#limits = parts.limits;
    this.#placement = parts.placement;
    this.#residents = parts.residents;
  }

  /** Clients still to be told. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** The ring says so. An owner that only acts is none to go to. */
  changed(partition: number, owner: Owner | undefined): void {
    const known = this.#settling.get(partition);
    if (known !== undefined && known.owner === owner?.node && !owner.isStandby) return;
    this.#settling.delete(partition);
    // Clients that came here meanwhile were told of no other place: when the owner is back they are to be asked, however short it was away.
    if (this.#settled.get(partition) !== owner?.node) this.#settled.delete(partition);
    if (owner === undefined || owner.isStandby || this.#stopped) return;
    if (this.#settled.get(partition) === owner.node) return;
    this.#waiting = this.#waiting.filter((each) => each.partition !== partition);
    this.#settling.set(partition, { owner: owner.node, dueMs: this.#clock.monotonic() + this.#limits.settleMs });
    this.#arm();
  }

  /** Nobody is told any more. */
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
    this.#tell();
    const nowMs = this.#clock.monotonic();
    const due = new Set<number>();
    for (const [partition, { owner, dueMs }] of this.#settling) {
      if (dueMs > nowMs) continue;
      this.#settling.delete(partition);
      this.#settled.set(partition, owner);
      due.add(partition);
    }
    if (due.size > 0) this.#gather(due);
  }

  /** Lists who watches a single device of these partitions, in an order of chance. */
  #gather(partitions: ReadonlySet<number>): void {
    const found: Waiting[] = [];
    for (const resident of this.#residents()) {
      for (const { pattern, partitions: of } of resident.watched()) {
        const partition = of[0]!;
        if (!partitions.has(partition) || this.#placement.elsewhere(pattern) === undefined) continue;
        found.push({ resident, channel: pattern, partition });
      }
    }
    // Fisher and Yates; Knuth, The Art of Computer Programming, volume 2, 3.4.2, algorithm P.
    this.#waiting.push(...found);
    for (let i = this.#waiting.length - 1; i > 0; i--) {
      const j = Math.floor(this.#random() * (i + 1));
      [this.#waiting[i], this.#waiting[j]] = [this.#waiting[j]!, this.#waiting[i]!];
    }
  }

  /** Those whose turn it is. Where they cannot be sent any more, because the owner is full or has gone, they stay. */
  #tell(): void {
    const perTick = (this.#limits.migrationsPerSecond * tickMs) / 1_000;
    this.#allowance = Math.min(this.#allowance + perTick, Math.max(1, perTick));
    while (this.#allowance >= 1 && this.#waiting.length > 0) {
      const { resident, channel } = this.#waiting.pop()!;
      const url = this.#placement.elsewhere(channel);
      if (url !== undefined && resident.moved(channel, url)) this.#allowance--;
    }
  }
}
