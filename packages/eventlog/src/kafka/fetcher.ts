import type { Clock } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';
import type { LogRecord, UnreadableRange } from '../eventlog.ts';
import type { KafkaCounts } from './counts.ts';
import type { KafkaDelivery, Lease } from './delivery.ts';
import { kafkaCode, mayPass, refusedError } from './errors.ts';
import type { KafkaLink } from './link.ts';
import { earliest, latest } from './metadata.ts';
import { doubtfulIn, type FetchAnswer, type FetchedPartition, fetchRequest } from './requests.ts';
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
/** Decompressed, of one answer: what a fetch brings uncompressed, four times. */
const heldBytesMax = 64 * 1_048_576;
/**
 * Connections are made again for one partition that stands still at most this many times as rarely as for the first
 * time.
 */
const reconnectFactorMax = 32;
/** A topic may be full of what cannot be read; the counter has all of it. */
const reportEveryMs = 10_000;

/**
 * Reads the leases' records into the delivery: one loop for each broker that leads some of them, one fetch at a time.
 *
 * The fetch is the flush window: in a stream, the broker answers after `flushMs` with all that has come, because every fetch
 * costs the CPU, however little it brings (measured: 24 µs a message with `minBytes` 1, 8.6 µs with a window of 20 ms).
 * After a fetch without records the next one waits for the first record only, so that what comes alone comes at once.
 *
 * What is wrong with one partition stays its own: it is left out of the fetches until its pause is over, and the others
 * go on.
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
  /** When it was last reported that something cannot be read. */
  #reportedMs = Number.NEGATIVE_INFINITY;

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
      if (lease.stuckSinceMs === undefined) continue;
      // The others have to put up with the new connections: more and more rarely for one that they do not help.
      const factor = Math.min(2 ** lease.reconnects, reconnectFactorMax);
      if (now - lease.stuckSinceMs <= limitMs * factor) continue;
      lease.reconnects++;
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
      if (leases.length === 0) {
        const waitMs = this.#pauseMs(leader);
        if (waitMs === undefined) break;
        await this.#options.clock.sleep(waitMs);
        continue;
      }
      try {
        const answer = await this.#fetch(link, leader, leases, isIdle);
        if (round !== this.#round) return;
        this.#answeredMs = this.#options.clock.monotonic();
        const bytes = this.#takeIn(link, answer, leases);
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

  /**
   * The leader's leases whose pause is over, beginning with another one each time: the broker fills its answer in this
   * order.
   */
  #inTurn(leader: number): Lease[] {
    const nowMs = this.#options.clock.monotonic();
    const leases: Lease[] = [];
    for (const lease of this.#leases) {
      if (lease.retryAtMs > nowMs || this.#leaderOf(lease) !== leader) continue;
      this.#followTopic(lease);
      leases.push(lease);
    }
    const first = this.#turn++ % (leases.length || 1);
    return first === 0 ? leases : [...leases.slice(first), ...leases.slice(0, first)];
  }

  /**
   * Returns how long the leader's leases are left alone, ms; undefined where it has no lease. One that is looked up has
   * no end yet: then the loop polls, because a loop that ended would be started again at once.
   */
  #pauseMs(leader: number): number | undefined {
    let retryAtMs: number | undefined;
    for (const lease of this.#leases) {
      if (this.#leaderOf(lease) === leader) retryAtMs = Math.min(retryAtMs ?? lease.retryAtMs, lease.retryAtMs);
    }
    if (retryAtMs === undefined) return undefined;
    return Math.min(Math.max(1, retryAtMs - this.#options.clock.monotonic()), pauseFirstMs);
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
        heldBytesMax,
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
  #takeIn(link: KafkaLink, answer: FetchAnswer, leases: readonly Lease[]): number {
    let total = 0;
    let isLedElsewhere = false;
    let at = 0;
    for (const part of answer.partitions) {
      // The broker answers nearly in the order asked.
      const next = leases[at++];
      const isNext = next?.partition === part.partition && next.topic === part.topic;
      const lease = isNext ? next : find(leases, part);
      if (lease === undefined || lease.gone) continue;
      total += part.bytes;
      if (part.errorCode === 0) this.#advance(lease, part);
      else if (part.errorCode === kafkaCode.offsetOutOfRange) void this.#startAgain(link, lease);
      else {
        isLedElsewhere ||= mayPass(part.errorCode) || part.errorCode === kafkaCode.unknownTopic;
        const { topic, partition, errorCode } = part;
        this.#pause(lease, refusedError(errorCode, `fetch records of partition ${partition} of ${topic}`));
      }
    }
    if (isLedElsewhere) void this.#lookAgain(link, leases);
    return total;
  }

  /** The partition is left alone for a while, longer each time. */
  #pause(lease: Lease, error: TailraceError): void {
    const { clock, counts, report } = this.#options;
    counts.failedFetches++;
    const pauseMs = Math.min(pauseFirstMs * 2 ** lease.failures, pauseMaxMs);
    // A partition that stays broken says so now and then.
    if (lease.failures++ % 20 === 0) report(error);
    lease.retryAtMs = clock.monotonic() + pauseMs;
  }

  #advance(lease: Lease, fetched: FetchedPartition): void {
    const part = untilDoubtful(fetched, lease);
    const { records } = part;
    // The partition has moved to another broker, and another loop has read on from there meanwhile.
    if (part.from !== lease.next) return;
    lease.end = part.end;
    lease.failures = 0;
    if (records.length > 0) {
      const taken = this.#options.delivery.push(lease, records, part.heldBytes);
      if (part.unreadable > 0) this.#countUnreadable(lease, records.slice(0, taken));
      lease.next = taken === records.length ? part.next : records[taken]!.seq;
      this.#moved(lease);
    } else if (part.next > lease.next) {
      // Only markers of transactions, or records that compaction has removed.
      lease.next = part.next;
      this.#moved(lease);
    } else if (lease.next < lease.end) lease.stuckSinceMs ??= this.#options.clock.monotonic();
    else this.#moved(lease);
  }

  #moved(lease: Lease): void {
    lease.stuckSinceMs = undefined;
    lease.reconnects = 0;
  }

  #countUnreadable(lease: Lease, records: readonly LogRecord[]): void {
    const { clock, counts, report } = this.#options;
    for (const { seq, unreadable } of records) {
      if (unreadable === undefined) continue;
      counts.unreadable[unreadable.reason].add();
      const nowMs = clock.monotonic();
      if (nowMs - this.#reportedMs < reportEveryMs) continue;
      this.#reportedMs = nowMs;
      report(unreadableError(lease, seq, unreadable));
    }
  }

  /** The position is not in the log: records were deleted before they were read, or the log is another one. */
  async #startAgain(link: KafkaLink, lease: Lease): Promise<void> {
    const { topic, partition, next } = lease;
    // It is not fetched meanwhile.
    lease.retryAtMs = Number.POSITIVE_INFINITY;
    try {
      const first = (await link.offsets(topic, earliest, lookUpMs, [partition]))[partition] ?? 0;
      const end = (await link.offsets(topic, latest, lookUpMs, [partition]))[partition] ?? 0;
      lease.retryAtMs = 0;
      if (next >= first && next <= end) return;
      const why = next < first ? 'its records were deleted unread' : 'the log was truncated or created again';
      const said = `position ${next} of partition ${partition} of ${topic} lies outside ${first} to ${end}: ${why}`;
      lease.next = first;
      this.#options.report(new TailraceError('invalid_position', `${said}; reading goes on at ${first}`));
    } catch (thrown) {
      lease.retryAtMs = 0;
      if (link !== this.#link || lease.gone) return;
      this.#pause(lease, link.errorFrom(thrown, `look up where partition ${partition} of ${topic} begins`));
    }
  }

  async #lookAgain(link: KafkaLink, leases: readonly Lease[]): Promise<void> {
    await link.refresh().catch(() => {});
    for (const topic of new Set(leases.map((lease) => lease.topic))) {
      if (link.knownTopic(topic) === undefined) await link.lookUp(topic, 0).catch(() => {});
    }
    if (link === this.#link) this.#startLoops();
  }
}

/** Up to a batch whose sum is wrong for the first time: it is fetched once more before it counts as unreadable. */
function untilDoubtful(part: FetchedPartition, lease: Lease): FetchedPartition {
  const doubtful = doubtfulIn(part, lease.doubtfulSeq);
  if (doubtful === undefined) return part;
  lease.doubtfulSeq = doubtful.next;
  return doubtful;
}

function unreadableError({ topic, partition }: Lease, seq: number, { until, message }: UnreadableRange): TailraceError {
  const what = `positions ${seq} to ${until - 1} of partition ${partition} of ${topic} cannot be read`;
  return new TailraceError('internal', `${what}: ${message}; reading goes on behind them`);
}

function find(leases: readonly Lease[], part: FetchedPartition): Lease | undefined {
  return leases.find((lease) => lease.partition === part.partition && lease.topic === part.topic);
}
