import type { Clock } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';
import type { StartPositions, SubscribeOptions } from '../eventlog.ts';
import { createLease, type KafkaDelivery, type Lease } from './delivery.ts';
import type { KafkaFetcher } from './fetcher.ts';
import type { KafkaLink } from './link.ts';
import type { Joined, KafkaMembership } from './membership.ts';
import { earliest } from './metadata.ts';

export interface KafkaLeasesOptions {
  readonly clock: Clock;
  readonly subscriber: SubscribeOptions;
  readonly delivery: KafkaDelivery;
  readonly fetcher: KafkaFetcher;
  readonly membership: KafkaMembership;
  link(): KafkaLink;
  report(thrown: unknown): void;
}

interface Assigned {
  readonly generation: number;
  readonly partitions: readonly number[];
}

const nothing: Assigned = { generation: -1, partitions: [] };
const pauseFirstMs = 100;
const pauseMaxMs = 5000;
const lookUpMs = 10_000;

/**
 * What the member has, as it was told to the subscriber. The group may be assigned faster than a subscriber answers: it is told of one
 * assignment after the other, those in between left out. What it keeps flows on while it thinks about where to start in what it gains.
 */
export class KafkaLeases {
  readonly #options: KafkaLeasesOptions;
  readonly #leases = new Map<string, Lease>();
  /** What the group has assigned last, in the order in which the subscriber has to be told. */
  #wanted: Assigned[] = [];
  #told: Assigned = nothing;
  /** Partitions whose start the subscriber does not know yet, each with the answer that is waited for. */
  readonly #starting = new Map<number, object>();
  /** What the subscriber was told it has, and the group has not taken away since. Only here do its commits count. */
  #owned: ReadonlySet<number> = new Set();
  #telling = false;
  #ended = false;

  constructor(options: KafkaLeasesOptions) {
    this.#options = options;
  }

  owned(): ReadonlySet<number> {
    return this.#owned;
  }

  /**
   * The group has assigned these. `fenced`: it had expelled this member. If it had further generations in between,
   * others may have had its partitions: all are lost first. If this is the next generation, it keeps what it is
   * assigned again.
   */
  assign({ generation, partitions }: Joined, fenced: boolean): void {
    const isInterrupted = fenced && generation - 1 > this.#told.generation;
    this.#wanted = [{ generation, partitions }];
    if (isInterrupted) this.#wanted.unshift({ generation: generation - 1, partitions: [] });
    const kept = new Set(isInterrupted ? [] : partitions);
    this.#owned = new Set([...this.#owned].filter((partition) => kept.has(partition)));
    for (const lease of this.#leases.values()) lease.held = !kept.has(lease.partition);
    if (!this.#telling) void this.#tellAll();
  }

  end(): void {
    this.#ended = true;
    for (const lease of this.#leases.values()) lease.gone = true;
  }

  async #tellAll(): Promise<void> {
    this.#telling = true;
    for (let pauseMs = pauseFirstMs; this.#wanted.length > 0 && !this.#ended; ) {
      const next = this.#wanted[0]!;
      try {
        await this.#options.delivery.boundary();
        if (this.#ended || this.#wanted[0] !== next) continue;
        await this.#tell(next);
        if (this.#wanted[0] === next) this.#wanted.shift();
        pauseMs = pauseFirstMs;
      } catch (thrown) {
        this.#options.report(thrown);
        await this.#options.clock.sleep(pauseMs);
        pauseMs = Math.min(pauseMs * 2, pauseMaxMs);
      }
    }
    this.#telling = false;
  }

  async #tell(next: Assigned): Promise<void> {
    const { subscriber, delivery, fetcher } = this.#options;
    const before = this.#told;
    const gained = next.partitions.filter((partition) => !before.partitions.includes(partition));
    const lost = before.partitions.filter((partition) => !next.partitions.includes(partition));
    for (const [key, lease] of this.#leases) {
      if (!lost.includes(lease.partition)) continue;
      lease.gone = true;
      this.#leases.delete(key);
      fetcher.remove(lease);
    }
    for (const partition of lost) this.#starting.delete(partition);
    delivery.sweep();
    this.#owned = this.#stillOf(next.partitions);
    const answer = subscriber.onAssigned({ ...next, gained, lost });
    delivery.kick();
    const starts = await answer;
    const isLater = (partition: number) =>
      subscriber.topics.some((topic) => typeof starts?.[topic]?.[partition] === 'object');
    const later = gained.filter(isLater);
    // Waited for before anything else can fail or stop: a rejection is reported there.
    for (const partition of later) void this.#beginLater(partition, starts!);
    const begun = await this.#beginSurely(
      gained.filter((partition) => !isLater(partition)),
      starts,
    );
    this.#told = next;
    if (this.#ended) return;
    this.#add(begun);
  }

  #add(begun: readonly Lease[]): void {
    const still = this.#stillOf(begun.map(({ partition }) => partition));
    for (const lease of begun) {
      lease.held = !still.has(lease.partition);
      this.#leases.set(`${lease.topic}/${lease.partition}`, lease);
    }
    this.#options.fetcher.add(begun);
  }

  /** When the subscriber knows where; unless the partition has been lost meanwhile. */
  async #beginLater(partition: number, starts: StartPositions): Promise<void> {
    const answer = {};
    this.#starting.set(partition, answer);
    const isWaited = () => !this.#ended && this.#starting.get(partition) === answer;
    try {
      const known = await startsOf(partition, starts);
      if (!isWaited()) return;
      const begun = await this.#beginSurely([partition], known);
      if (isWaited()) this.#add(begun);
    } catch (thrown) {
      if (isWaited()) this.#options.report(thrown);
    }
    if (isWaited()) this.#starting.delete(partition);
  }

  /** Those that the group has not assigned to somebody else since. */
  #stillOf(partitions: readonly number[]): ReadonlySet<number> {
    const latest = this.#wanted.every(({ partitions: kept }) => kept.length > 0) ? this.#wanted.at(-1) : nothing;
    return new Set(partitions.filter((partition) => latest?.partitions.includes(partition) ?? true));
  }

  /** Until it works: the subscriber has said where to start, and is not asked twice because the brokers do not answer. */
  async #beginSurely(gained: readonly number[], starts: StartPositions | undefined): Promise<Lease[]> {
    while (gained.length > 0 && !this.#ended) {
      try {
        return await this.#begin(gained, starts);
      } catch (thrown) {
        this.#options.report(thrown);
        await this.#options.clock.sleep(pauseMaxMs);
      }
    }
    return [];
  }

  async #begin(gained: readonly number[], starts: StartPositions | undefined): Promise<Lease[]> {
    const { subscriber, membership, link, report } = this.#options;
    const begun: Lease[] = [];
    const asked = (topic: string, partition: number): number | undefined => {
      const position = starts?.[topic]?.[partition];
      if (position === undefined) return undefined;
      if (typeof position === 'number' && Number.isSafeInteger(position) && position >= 0) return position;
      report(new TailraceError('invalid_position', `position ${position} of ${topic}/${partition} is not one`));
      return undefined;
    };
    const isOpen = subscriber.topics.some((topic) => gained.some((partition) => asked(topic, partition) === undefined));
    const committed = isOpen
      ? await link().retry('look up committed positions', lookUpMs, () => membership.committed(gained))
      : undefined;
    for (const topic of subscriber.topics) {
      let firsts: readonly number[] | undefined;
      const { id: topicId } = await link().topic(topic, lookUpMs);
      for (const partition of gained) {
        let next = asked(topic, partition) ?? committed?.get(topic)?.get(partition);
        if (next === undefined) {
          firsts ??= await link().offsets(topic, earliest, lookUpMs, gained);
          next = firsts[partition] ?? 0;
        }
        begun.push(createLease(topic, partition, topicId, next));
      }
    }
    return begun;
  }
}

/** Of one partition, when all of them are known. */
async function startsOf(partition: number, starts: StartPositions): Promise<StartPositions> {
  const known: Record<string, Record<number, number>> = {};
  const asked = Object.entries(starts).map(async ([topic, positions]) => {
    const position = await positions[partition];
    if (position !== undefined) known[topic] = { [partition]: position };
  });
  await Promise.all(asked);
  return known;
}
