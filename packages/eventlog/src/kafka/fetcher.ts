import type { Clock } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';
import type { KafkaCounts } from './counts.ts';
import type { KafkaDelivery, Lease } from './delivery.ts';
import { kafkaCode, mayPass, refusedError } from './errors.ts';
import type { KafkaLink } from './link.ts';
import { earliest, latest } from './metadata.ts';
import { type FetchAnswer, type FetchedPartition, fetchRequest } from './requests.ts';
import { sendTo } from './wire.ts';

export interface KafkaFetcherOptions {
  readonly clock: Clock;
  readonly counts: KafkaCounts;
  /** How long the broker may hold back records to answer with more at once. */
  readonly flushMs: number;
  /** From so many bytes on it answers at once. */
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly partitionBytesMax: number;
  readonly delivery: KafkaDelivery;
  report(thrown: unknown): void;
}

const pauseFirstMs = 50;
const pauseMaxMs = 1000;
/** While nothing comes, the broker is asked to wait this long for a first record; it answers at once when there is one. */
const idleWaitMs = 100;
const lookUpMs = 5000;

/**
 * Reads the leases' records into the delivery: one loop for each broker that leads some of them, one fetch at a time.
 *
 * The fetch is the flush window: in a stream, the broker answers after `flushMs` with all that has come, because every fetch
 * costs the CPU, however little it brings (measured: 24 µs a message with `minBytes` 1, 8.6 µs with a window of 20 ms).
 * After a fetch without records the next one waits for the first record only, so that what comes alone comes at once.
 */
export class KafkaFetcher {
  readonly #options: KafkaFetcherOptions;
  readonly #leases = new Set<Lease>();
  readonly #loops = new Set<number>();
  #link: KafkaLink;
  /** Raised by `moveTo` and `end`: loops of an older round find out and end. */
  #round = 0;
  #answeredMs: number;
  #turn = 0;

  constructor(link: KafkaLink, options: KafkaFetcherOptions) {
    this.#link = link;
    this.#options = options;
    this.#answeredMs = options.clock.monotonic();
  }

  add(leases: readonly Lease[]): void {
    for (const lease of leases) this.#leases.add(lease);
    this.#startLoops();
  }

  remove(lease: Lease): void {
    this.#leases.delete(lease);
  }

  /** Goes on over other connections. What the old ones still answer is not looked at. */
  moveTo(link: KafkaLink): void {
    this.#link = link;
    this.#round++;
    this.#loops.clear();
    this.#answeredMs = this.#options.clock.monotonic();
    for (const lease of this.#leases) lease.stuckSinceMs = undefined;
    this.#startLoops();
  }

  end(): void {
    this.#round++;
    this.#leases.clear();
  }

  /**
   * For the watchdog: what has not moved for `limitMs` although it should have: no answer to any fetch, or a partition with more
   * to read. Undefined while all is well, or the subscriber is what everything waits for.
   */
  stalled(limitMs: number): string | undefined {
    const now = this.#options.clock.monotonic();
    if (this.#leases.size === 0 || !this.#options.delivery.hasRoom()) {
      this.#answeredMs = now;
      for (const lease of this.#leases) lease.stuckSinceMs = undefined;
      return undefined;
    }
    if (now - this.#answeredMs > limitMs) return `no fetch was answered for ${Math.round(now - this.#answeredMs)} ms`;
    for (const lease of this.#leases) {
      if (lease.stuckSinceMs === undefined || now - lease.stuckSinceMs <= limitMs) continue;
      return `partition ${lease.partition} of ${lease.topic} stands at ${lease.next} of ${lease.end}`;
    }
    return undefined;
  }

  #startLoops(): void {
    for (const lease of this.#leases) {
      const leader = this.#leaderOf(lease);
      if (this.#loops.has(leader)) continue;
      this.#loops.add(leader);
      void this.#loop(leader, this.#round, this.#link);
    }
  }

  #leaderOf(lease: Lease): number {
    return this.#link.knownTopic(lease.topic)?.leaders[lease.partition] ?? -1;
  }

  async #loop(leader: number, round: number, link: KafkaLink): Promise<void> {
    let isIdle = false;
    let pauseMs = pauseFirstMs;
    while (round === this.#round) {
      if (!this.#options.delivery.hasRoom()) {
        await this.#options.delivery.room();
        continue;
      }
      const leases = this.#inTurn(leader);
      if (leases.length === 0) break;
      try {
        const answer = await this.#fetch(link, leader, leases, isIdle);
        if (round !== this.#round) return;
        this.#answeredMs = this.#options.clock.monotonic();
        const bytes = await this.#takeIn(link, answer, leases);
        isIdle = bytes === 0;
        pauseMs = pauseFirstMs;
      } catch (thrown) {
        if (round !== this.#round) return;
        this.#options.counts.failedFetches++;
        this.#options.report(link.errorFrom(thrown, 'fetch records'));
        await this.#options.clock.sleep(pauseMs);
        pauseMs = Math.min(pauseMs * 2, pauseMaxMs);
        await this.#lookAgain(link, leases);
      }
    }
    if (round !== this.#round) return;
    this.#loops.delete(leader);
    this.#startLoops();
  }

  /** The leader's leases, beginning with another one each time: the broker fills its answer in this order. */
  #inTurn(leader: number): Lease[] {
    const leases: Lease[] = [];
    for (const lease of this.#leases) {
      if (this.#leaderOf(lease) !== leader) continue;
      this.#followTopic(lease);
      leases.push(lease);
    }
    const first = this.#turn++ % (leases.length || 1);
    return first === 0 ? leases : [...leases.slice(first), ...leases.slice(0, first)];
  }

  /** A topic deleted and made again under its name has other records at the same positions. */
  #followTopic(lease: Lease): void {
    const id = this.#link.knownTopic(lease.topic)?.id;
    if (id === undefined || id === lease.topicId) return;
    const { topic, partition, next } = lease;
    lease.topicId = id;
    lease.next = 0;
    const why = `topic ${topic} was made anew: position ${next} of partition ${partition} means nothing any more`;
    this.#options.report(new TailraceError('invalid_position', `${why}; reading begins at the first record`));
  }

  async #fetch(link: KafkaLink, leader: number, leases: readonly Lease[], isIdle: boolean): Promise<FetchAnswer> {
    const { clock, counts, flushMs, minBytes, maxBytes, partitionBytesMax } = this.#options;
    const broker = await link.broker(leader);
    const waits = isIdle || flushMs < 1;
    const request = fetchRequest(
      leases.map(({ topic, partition, next }) => ({ topic, partition, from: next })),
      {
        minBytes: waits ? 1 : minBytes,
        maxWaitMs: waits ? Math.max(idleWaitMs, flushMs) : Math.ceil(flushMs),
        maxBytes,
        partitionBytesMax,
      },
    );
    const startMs = clock.monotonic();
    const answer = await sendTo(broker, request);
    counts.fetchSeconds.observe((clock.monotonic() - startMs) / 1_000);
    counts.throttleMs += answer.clientSideThrottleTime;
    if (answer.errorCode !== 0) throw refusedError(answer.errorCode, 'fetch records');
    return answer;
  }

  /** Answers how many bytes of records there were. */
  async #takeIn(link: KafkaLink, answer: FetchAnswer, leases: readonly Lease[]): Promise<number> {
    let total = 0;
    let refused: FetchedPartition | undefined;
    let at = 0;
    for (const part of answer.partitions) {
      // The broker answers nearly in the order asked.
      const next = leases[at++];
      const isNext = next?.partition === part.partition && next.topic === part.topic;
      const lease = isNext ? next : find(leases, part);
      if (lease === undefined || lease.gone) continue;
      total += part.bytes;
      if (part.errorCode === kafkaCode.offsetOutOfRange) await this.#startAgain(link, lease);
      else if (part.errorCode !== 0) refused = part;
      else this.#advance(lease, part);
    }
    if (refused === undefined) return total;
    const { errorCode, topic, partition } = refused;
    const doing = `fetch records of partition ${partition} of ${topic}`;
    if (mayPass(errorCode)) await this.#lookAgain(link, leases);
    throw refusedError(errorCode, doing);
  }

  #advance(lease: Lease, part: FetchedPartition): void {
    const { records } = part;
    // The partition has moved to another broker, and another loop has read on from there meanwhile.
    if (part.from !== lease.next) return;
    lease.end = part.end;
    if (records.length > 0) {
      const taken = this.#options.delivery.push(lease, records, part.bytes);
      lease.next = taken === records.length ? part.next : records[taken]!.seq;
      lease.stuckSinceMs = undefined;
    } else if (part.next > lease.next) {
      // Only markers of transactions, or records that compaction has removed.
      lease.next = part.next;
      lease.stuckSinceMs = undefined;
    } else if (lease.next < lease.end) lease.stuckSinceMs ??= this.#options.clock.monotonic();
    else lease.stuckSinceMs = undefined;
  }

  /** The position is not in the log: records were deleted before they were read, or the log is another one. */
  async #startAgain(link: KafkaLink, lease: Lease): Promise<void> {
    const { topic, partition, next } = lease;
    const first = (await link.offsets(topic, earliest, lookUpMs))[partition] ?? 0;
    const end = (await link.offsets(topic, latest, lookUpMs))[partition] ?? 0;
    if (next >= first && next <= end) return;
    const why = next < first ? 'its records were deleted unread' : 'the log has been cut back or made anew';
    const said = `position ${next} of partition ${partition} of ${topic} lies outside ${first} to ${end}: ${why}`;
    lease.next = first;
    this.#options.report(new TailraceError('invalid_position', `${said}; reading goes on at ${first}`));
  }

  async #lookAgain(link: KafkaLink, leases: readonly Lease[]): Promise<void> {
    await link.refresh().catch(() => {});
    for (const topic of new Set(leases.map((lease) => lease.topic))) {
      if (link.knownTopic(topic) === undefined) await link.lookUp(topic, 0).catch(() => {});
    }
    if (link === this.#link) this.#startLoops();
  }
}

function find(leases: readonly Lease[], part: FetchedPartition): Lease | undefined {
  return leases.find((lease) => lease.partition === part.partition && lease.topic === part.topic);
}
