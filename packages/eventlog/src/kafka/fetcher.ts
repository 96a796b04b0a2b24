import type { Clock } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';
import type { LogRecord, UnreadableRange } from '../event-log.ts';
import type { Source } from '../group-ports.ts';
import type { RecordBuffer, RecordQueue } from '../record-buffer.ts';
import type { KafkaCounts } from './counts.ts';
import { kafkaCode, mayPass, refusedError } from './errors.ts';
import { type KafkaLink, sendTo } from './link.ts';
import { earliest, latest } from './metadata.ts';
import { doubtfulIn, type FetchAnswer, type FetchedPartition, fetchRequest } from './requests.ts';

export interface KafkaFetcherOptions {
  readonly clock: Clock;
  readonly counts: KafkaCounts;
  /** How long the broker may hold back records to answer with more at once. */
  readonly flushMs: number;
  /** From so many bytes on it answers at once. */
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly partitionBytesMax: number;
  readonly buffer: RecordBuffer;
  report(thrown: unknown): void;
}

/** How far one partition is fetched into its queue. */
interface FetchState {
  readonly queue: RecordQueue;
  readonly topic: string;
  readonly partition: number;
  /** Of the topic that the position is in: one created again under the name is another. Undefined: not known yet. */
  topicId: string | undefined;
  /** Where the next fetch reads. */
  next: number;
  /** The end of the partition at the last fetch. */
  end: number;
  /** Since when the partition has had more than was read, and nothing came; undefined while all is well. */
  stuckSinceMs: number | undefined;
  /** Times that connections were created again because of it, since it last moved. */
  reconnects: number;
  /** It is not fetched before; monotonic ms. Infinite: where it starts is looked up. */
  retryAtMs: number;
  /** Fetches of it that failed, since the last one that did not. */
  failures: number;
  /**
   * Where a batch lay that could not be read the first time, for a reason that may pass: see `doubtfulIn`. -1: none.
   */
  doubtfulSeq: number;
}

const pauseFirstMs = 50;
const pauseMaxMs = 1000;
/**
 * While nothing comes, the broker is asked to wait this long for a first record; it answers at once when there is one.
 */
const idleWaitMs = 100;
const positionsTimeoutMs = 5000;
const firstPositionsTimeoutMs = 10_000;
/** Decompressed, of one answer: what a fetch brings uncompressed, four times. */
const heldBytesMax = 64 * 1_048_576;
/**
 * Connections are created again for one partition that stands still at most this many times as rarely as for the first
 * time.
 */
const reconnectFactorMax = 32;
/** A topic may be full of what cannot be read; the counter has all of it. */
const reportEveryMs = 10_000;

/**
 * Fetches the partitions of a member into its buffer: one loop for each broker that leads some of them, one fetch at a
 * time.
 *
 * The fetch is the flush window: in a stream, the broker answers after `flushMs` with all that has come, because every
 * fetch costs the CPU, however little it brings (measured: 24 µs a message with `minBytes` 1, 8.6 µs with a window of
 * 20 ms). After a fetch without records the next one waits for the first record only, so that what comes alone comes at
 * once.
 *
 * An error of one partition holds up that partition alone: it is left out of the fetches until its pause is over, and
 * the others go on.
 */
export class KafkaFetcher implements Source {
  readonly #options: KafkaFetcherOptions;
  readonly #states = new Map<RecordQueue, FetchState>();
  readonly #loops = new Set<number>();
  #link: KafkaLink;
  /** Raised by `moveTo` and `close`: loops of an older round stop. */
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

  async firstPositions(topic: string, partitions: readonly number[]): Promise<readonly number[]> {
    return await this.#link.offsets(topic, earliest, firstPositionsTimeoutMs, partitions);
  }

  start(queue: RecordQueue, position: number): void {
    const { topic, partition } = queue;
    this.#states.set(queue, {
      queue,
      topic,
      partition,
      topicId: this.#link.knownTopic(topic)?.id,
      next: position,
      end: position,
      stuckSinceMs: undefined,
      reconnects: 0,
      retryAtMs: 0,
      failures: 0,
      doubtfulSeq: -1,
    });
    // Later, so that the first fetch has all partitions that start now.
    queueMicrotask(this.#startLoops);
  }

  stop(queue: RecordQueue): void {
    this.#states.delete(queue);
  }

  /** Goes on over other connections. What the old ones still answer is dropped. */
  moveTo(link: KafkaLink): void {
    this.#link = link;
    this.#round++;
    this.#loops.clear();
    this.#answeredMs = this.#options.clock.monotonic();
    for (const state of this.#states.values()) state.stuckSinceMs = undefined;
    this.#startLoops();
  }

  close(): void {
    this.#round++;
    this.#states.clear();
  }

  /**
   * For the watchdog. Returns what has not moved for `limitMs` although it should have: no fetch was answered, or a
   * partition has more to read. Undefined while all is well, or the buffer is full.
   */
  stalled(limitMs: number): string | undefined {
    const now = this.#options.clock.monotonic();
    if (this.#states.size === 0 || !this.#options.buffer.hasRoom()) {
      this.#answeredMs = now;
      for (const state of this.#states.values()) state.stuckSinceMs = undefined;
      return undefined;
    }
    if (now - this.#answeredMs > limitMs) return `no fetch was answered for ${Math.round(now - this.#answeredMs)} ms`;
    for (const state of this.#states.values()) {
      if (state.stuckSinceMs === undefined) continue;
      // The others have to put up with the new connections: more and more rarely for one that they do not help.
      const factor = Math.min(2 ** state.reconnects, reconnectFactorMax);
      if (now - state.stuckSinceMs <= limitMs * factor) continue;
      state.reconnects++;
      return `partition ${state.partition} of ${state.topic} stands at ${state.next} of ${state.end}`;
    }
    return undefined;
  }

  readonly #startLoops = (): void => {
    for (const state of this.#states.values()) {
      const leader = this.#leaderOf(state);
      if (this.#loops.has(leader)) continue;
      this.#loops.add(leader);
      void this.#loop(leader, this.#round, this.#link);
    }
  };

  #leaderOf(state: FetchState): number {
    return this.#link.knownTopic(state.topic)?.leaders[state.partition] ?? -1;
  }

  async #loop(leader: number, round: number, link: KafkaLink): Promise<void> {
    let isIdle = false;
    let pauseMs = pauseFirstMs;
    while (round === this.#round) {
      if (!this.#options.buffer.hasRoom()) {
        await this.#options.buffer.whenRoom();
        continue;
      }
      const states = this.#inTurn(leader);
      if (states.length === 0) {
        const waitMs = this.#pauseMs(leader);
        if (waitMs === undefined) break;
        await this.#options.clock.sleep(waitMs);
        continue;
      }
      try {
        const answer = await this.#fetch(link, leader, states, isIdle);
        if (round !== this.#round) return;
        this.#answeredMs = this.#options.clock.monotonic();
        const bytes = this.#accept(link, answer, states);
        isIdle = bytes === 0;
        pauseMs = pauseFirstMs;
      } catch (thrown) {
        if (round !== this.#round) return;
        this.#options.counts.failedFetches++;
        this.#options.report(link.errorFrom(thrown, 'fetch records'));
        await this.#options.clock.sleep(pauseMs);
        pauseMs = Math.min(pauseMs * 2, pauseMaxMs);
        await this.#refreshLeaders(link, states);
      }
    }
    if (round !== this.#round) return;
    this.#loops.delete(leader);
    this.#startLoops();
  }

  /**
   * Returns the leader's partitions whose pause is over, another one first each time: the broker fills its answer in
   * this order.
   */
  #inTurn(leader: number): FetchState[] {
    const nowMs = this.#options.clock.monotonic();
    const states: FetchState[] = [];
    for (const state of this.#states.values()) {
      if (state.retryAtMs > nowMs || this.#leaderOf(state) !== leader) continue;
      this.#followTopic(state);
      states.push(state);
    }
    const first = this.#turn++ % (states.length || 1);
    return first === 0 ? states : [...states.slice(first), ...states.slice(0, first)];
  }

  /**
   * Returns how long the leader's partitions all pause, ms; undefined where it leads none. The pause of one whose start
   * is looked up has no end yet: then the loop polls, because a loop that stopped would be started again at once.
   */
  #pauseMs(leader: number): number | undefined {
    let retryAtMs: number | undefined;
    for (const state of this.#states.values()) {
      if (this.#leaderOf(state) === leader) retryAtMs = Math.min(retryAtMs ?? state.retryAtMs, state.retryAtMs);
    }
    if (retryAtMs === undefined) return undefined;
    return Math.min(Math.max(1, retryAtMs - this.#options.clock.monotonic()), pauseFirstMs);
  }

  /** A topic deleted and created again under its name has other records at the same positions. */
  #followTopic(state: FetchState): void {
    const id = this.#link.knownTopic(state.topic)?.id;
    if (id === undefined || id === state.topicId) return;
    const { topic, partition, next, topicId } = state;
    state.topicId = id;
    if (topicId === undefined) return;
    state.next = 0;
    const why = `topic ${topic} was created again: position ${next} of partition ${partition} is of the former one`;
    this.#options.report(new TailraceError('invalid_position', `${why}; reading starts at the first record`));
  }

  async #fetch(link: KafkaLink, leader: number, states: readonly FetchState[], isIdle: boolean): Promise<FetchAnswer> {
    const { clock, counts, flushMs, minBytes, maxBytes, partitionBytesMax } = this.#options;
    const broker = await link.broker(leader);
    const waits = isIdle || flushMs < 1;
    const request = fetchRequest(
      states.map(({ topic, partition, next }) => ({ topic, partition, from: next })),
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

  /** Acts on an answer. Returns the number of bytes of records in it. */
  #accept(link: KafkaLink, answer: FetchAnswer, states: readonly FetchState[]): number {
    let total = 0;
    let isLedElsewhere = false;
    let at = 0;
    for (const part of answer.partitions) {
      // The broker answers nearly in the order asked.
      const next = states[at++];
      const isNext = next?.partition === part.partition && next.topic === part.topic;
      const state = isNext ? next : find(states, part);
      if (state === undefined || state.queue.isClosed) continue;
      total += part.bytes;
      if (part.errorCode === 0) this.#advance(state, part);
      else if (part.errorCode === kafkaCode.offsetOutOfRange) void this.#restart(link, state);
      else {
        isLedElsewhere ||= mayPass(part.errorCode) || part.errorCode === kafkaCode.unknownTopic;
        const { topic, partition, errorCode } = part;
        this.#pause(state, refusedError(errorCode, `fetch records of partition ${partition} of ${topic}`));
      }
    }
    if (isLedElsewhere) void this.#refreshLeaders(link, states);
    return total;
  }

  /** The partition is left alone for a while, longer each time. */
  #pause(state: FetchState, error: TailraceError): void {
    const { clock, counts, report } = this.#options;
    counts.failedFetches++;
    const pauseMs = Math.min(pauseFirstMs * 2 ** state.failures, pauseMaxMs);
    // A partition that stays broken is reported now and then.
    if (state.failures++ % 20 === 0) report(error);
    state.retryAtMs = clock.monotonic() + pauseMs;
  }

  #advance(state: FetchState, fetched: FetchedPartition): void {
    const part = untilDoubtful(fetched, state);
    const { records } = part;
    // The partition has moved to another broker, and another loop has read on from there meanwhile.
    if (part.from !== state.next) return;
    state.end = part.end;
    state.failures = 0;
    if (records.length > 0) {
      const taken = this.#options.buffer.push(state.queue, records, part.heldBytes);
      if (part.unreadable > 0) this.#countUnreadable(state, records.slice(0, taken));
      state.next = taken === records.length ? part.next : records[taken]!.seq;
      this.#moved(state);
    } else if (part.next > state.next) {
      // Only markers of transactions, or records that compaction has removed.
      state.next = part.next;
      this.#moved(state);
    } else if (state.next < state.end) state.stuckSinceMs ??= this.#options.clock.monotonic();
    else this.#moved(state);
  }

  #moved(state: FetchState): void {
    state.stuckSinceMs = undefined;
    state.reconnects = 0;
  }

  #countUnreadable(state: FetchState, records: readonly LogRecord[]): void {
    const { clock, counts, report } = this.#options;
    for (const { seq, unreadable } of records) {
      if (unreadable === undefined) continue;
      counts.unreadable[unreadable.reason].add();
      const nowMs = clock.monotonic();
      if (nowMs - this.#reportedMs < reportEveryMs) continue;
      this.#reportedMs = nowMs;
      report(unreadableError(state, seq, unreadable));
    }
  }

  /** The position is not in the log: records were deleted before they were read, or it is another log. */
  async #restart(link: KafkaLink, state: FetchState): Promise<void> {
    const { topic, partition, next } = state;
    // It is not fetched meanwhile.
    state.retryAtMs = Number.POSITIVE_INFINITY;
    try {
      const first = (await link.offsets(topic, earliest, positionsTimeoutMs, [partition]))[partition] ?? 0;
      const end = (await link.offsets(topic, latest, positionsTimeoutMs, [partition]))[partition] ?? 0;
      state.retryAtMs = 0;
      if (next >= first && next <= end) return;
      const why = next < first ? 'its records were deleted unread' : 'the log was truncated or created again';
      const what = `position ${next} of partition ${partition} of ${topic}: expected ${first} to ${end}; ${why}`;
      state.next = first;
      this.#options.report(new TailraceError('invalid_position', `${what}; reading goes on at ${first}`));
    } catch (thrown) {
      state.retryAtMs = 0;
      if (link !== this.#link || state.queue.isClosed) return;
      this.#pause(state, link.errorFrom(thrown, `look up the first position of partition ${partition} of ${topic}`));
    }
  }

  async #refreshLeaders(link: KafkaLink, states: readonly FetchState[]): Promise<void> {
    await link.refresh().catch(() => {});
    for (const topic of new Set(states.map((state) => state.topic))) {
      if (link.knownTopic(topic) === undefined) await link.lookUp(topic, 0).catch(() => {});
    }
    if (link === this.#link) this.#startLoops();
  }
}

/** Up to a batch whose sum is wrong for the first time: it is fetched once more before it counts as unreadable. */
function untilDoubtful(part: FetchedPartition, state: FetchState): FetchedPartition {
  const doubtful = doubtfulIn(part, state.doubtfulSeq);
  if (doubtful === undefined) return part;
  state.doubtfulSeq = doubtful.next;
  return doubtful;
}

function unreadableError(
  { topic, partition }: FetchState,
  seq: number,
  { until, message }: UnreadableRange,
): TailraceError {
  const what = `positions ${seq} to ${until - 1} of partition ${partition} of ${topic} cannot be read`;
  return new TailraceError('internal', `${what}: ${message}; reading goes on behind them`);
}

function find(states: readonly FetchState[], part: FetchedPartition): FetchState | undefined {
  return states.find((state) => state.partition === part.partition && state.topic === part.topic);
}
