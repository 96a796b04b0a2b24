import type { Clock } from '@tailrace/platform/clock';
import { backoffMs, noJitter } from '@tailrace/protocol/backoff';
import { TailraceError } from '@tailrace/protocol/error';
import type { LogRecord, UnreadableRange } from '../event-log.ts';
import type { Source } from '../group-ports.ts';
import type { RecordBuffer, RecordQueue } from '../record-buffer.ts';
import { type KafkaClient, retryBackoff, sendTo } from './client.ts';
import type { KafkaCounts } from './counts.ts';
import { errorFromCode, isRetriable, kafkaCode } from './errors.ts';
import { earliest, latest } from './metadata.ts';
import { doubtfulIn, type FetchAnswer, type FetchedPartition, fetchRequest } from './requests.ts';

export interface KafkaFetcherOptions {
  readonly clock: Clock;
  readonly counts: KafkaCounts;
  /** How long the broker may delay records to send more at once. */
  readonly flushMs: number;
  /** With this number of bytes it answers at once. */
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly partitionBytesMax: number;
  readonly buffer: RecordBuffer;
  report(thrown: unknown): void;
}

/** The progress of fetching one partition into its queue. */
interface FetchState {
  readonly queue: RecordQueue;
  readonly topic: string;
  readonly partition: number;
  /** ID of the topic of the position; a re-created topic has another. Undefined: not known yet. */
  topicId: string | undefined;
  /** Position of the next fetch. */
  next: number;
  /** End of the partition at the last fetch. */
  end: number;
  /** Since when the partition has records to read and no progress; undefined with progress. */
  stalledSinceMs: number | undefined;
  /** Reconnects because of it since its last progress. */
  reconnects: number;
  /** It is not fetched before; monotonic ms. Infinite: its start position is being looked up. */
  retryAtMs: number;
  /** Consecutive failed fetches. */
  failures: number;
  /** Position of a batch that could not be read at the first attempt, see `doubtfulIn`. -1: none. */
  doubtfulSeq: number;
}

/** Fetch wait of an idle partition: the broker answers at once when there is a record. */
const idleWaitMs = 100;
const positionsTimeoutMs = 5000;
const firstPositionsTimeoutMs = 10_000;
/** Most decompressed bytes of one response: four times those of a fetch without compression. */
const heldBytesMax = 64 * 1_048_576;
/** The stall timeout of one partition grows with its reconnects, up to this factor. */
const reconnectFactorMax = 32;
/** Least time between two reports of unreadable records: the counter has all of them. */
const reportEveryMs = 10_000;

/**
 * Fetches the partitions of a member into its buffer: one loop for each broker that leads some of them, with one fetch
 * in flight.
 *
 * The fetch is the flush window: in a stream, the broker answers after `flushMs` with all new records, because each
 * fetch has a fixed cost (measured: 24 µs a message with `minBytes` 1, 8.6 µs with a window of 20 ms). After a fetch
 * without records the next one waits for the first record only, so that a single record is not delayed.
 *
 * An error of one partition delays that partition alone: it is not fetched until its pause has expired, and the others
 * continue.
 */
export class KafkaFetcher implements Source {
  readonly #options: KafkaFetcherOptions;
  readonly #states = new Map<RecordQueue, FetchState>();
  readonly #loops = new Set<number>();
  #client: KafkaClient;
  /** Incremented by `moveTo` and `close`: loops of an older generation stop. */
  #loopGeneration = 0;
  #respondedMs: number;
  #rotation = 0;
  /** Time of the last report of unreadable records. */
  #reportedMs = Number.NEGATIVE_INFINITY;

  constructor(client: KafkaClient, options: KafkaFetcherOptions) {
    this.#client = client;
    this.#options = options;
    this.#respondedMs = options.clock.monotonic();
  }

  async firstPositions(topic: string, partitions: readonly number[]): Promise<readonly number[]> {
    return await this.#client.offsets(topic, earliest, firstPositionsTimeoutMs, partitions);
  }

  start(queue: RecordQueue, position: number): void {
    const { topic, partition } = queue;
    this.#states.set(queue, {
      queue,
      topic,
      partition,
      topicId: this.#client.knownTopic(topic)?.id,
      next: position,
      end: position,
      stalledSinceMs: undefined,
      reconnects: 0,
      retryAtMs: 0,
      failures: 0,
      doubtfulSeq: -1,
    });
    // Later, so that the first fetch has all partitions that start in this turn.
    queueMicrotask(this.#startLoops);
  }

  stop(queue: RecordQueue): void {
    this.#states.delete(queue);
  }

  /** Continues with another client. Late answers of the previous one are dropped. */
  moveTo(client: KafkaClient): void {
    this.#client = client;
    this.#loopGeneration++;
    this.#loops.clear();
    this.#restartWatch();
    this.#startLoops();
  }

  /**
   * Refreshes the leaders of all partitions. A broker that is isolated from the others answers as their leader, without
   * an error and without new records.
   */
  async refresh(): Promise<void> {
    await this.#refreshLeaders(this.#client, [...this.#states.values()]);
  }

  close(): void {
    this.#loopGeneration++;
    this.#states.clear();
  }

  /**
   * Returns what has stalled for `limitMs`: no fetch was answered, or a partition with records to read has no progress.
   * Undefined if nothing has stalled, or the buffer is full. Starts to measure again after each report: a reconnect
   * takes time. For the watchdog.
   */
  stalled(limitMs: number): string | undefined {
    const now = this.#options.clock.monotonic();
    if (this.#states.size === 0 || !this.#options.buffer.hasCapacity()) {
      this.#restartWatch();
      return undefined;
    }
    const waitedMs = now - this.#respondedMs;
    if (waitedMs > limitMs) {
      this.#restartWatch();
      return `no fetch was answered for ${Math.round(waitedMs)} ms`;
    }
    for (const state of this.#states.values()) {
      if (state.stalledSinceMs === undefined) continue;
      // A reconnect interrupts the other partitions: less often if it does not help.
      const factor = Math.min(2 ** state.reconnects, reconnectFactorMax);
      if (now - state.stalledSinceMs <= limitMs * factor) continue;
      state.reconnects++;
      this.#restartWatch();
      return `partition ${state.partition} of ${state.topic} is at ${state.next} of ${state.end}`;
    }
    return undefined;
  }

  #restartWatch(): void {
    this.#respondedMs = this.#options.clock.monotonic();
    for (const state of this.#states.values()) state.stalledSinceMs = undefined;
  }

  readonly #startLoops = (): void => {
    for (const state of this.#states.values()) {
      const leader = this.#leaderOf(state);
      if (!this.#loops.has(leader)) this.#startLoop(leader);
    }
  };

  #startLoop(leader: number): void {
    this.#loops.add(leader);
    void this.#loop(leader, this.#loopGeneration, this.#client);
  }

  #leaderOf(state: FetchState): number {
    return this.#client.knownTopic(state.topic)?.leaders[state.partition] ?? -1;
  }

  async #loop(leader: number, loopGeneration: number, client: KafkaClient): Promise<void> {
    let isIdle = false;
    let failures = 0;
    while (loopGeneration === this.#loopGeneration) {
      if (!this.#options.buffer.hasCapacity()) {
        await this.#options.buffer.whenCapacity();
        continue;
      }
      const states = this.#fetchable(leader);
      if (states.length === 0) {
        const waitMs = this.#pauseMs(leader);
        if (waitMs === undefined) break;
        await this.#options.clock.sleep(waitMs);
        continue;
      }
      try {
        const answer = await this.#fetch(client, leader, states, isIdle);
        if (loopGeneration !== this.#loopGeneration) return;
        this.#respondedMs = this.#options.clock.monotonic();
        const bytes = this.#accept(client, answer, states);
        isIdle = bytes === 0;
        failures = 0;
      } catch (thrown) {
        if (loopGeneration !== this.#loopGeneration) return;
        this.#options.counts.failedFetches++;
        this.#options.report(client.errorFrom(thrown, 'fetch records'));
        await this.#options.clock.sleep(backoffMs(failures++, noJitter, retryBackoff));
        await this.#refreshLeaders(client, states);
      }
    }
    if (loopGeneration !== this.#loopGeneration) return;
    this.#loops.delete(leader);
    this.#startLoops();
  }

  /**
   * Returns the partitions of the leader that do not pause, starting with another one at each call: the broker fills
   * its response in this order.
   */
  #fetchable(leader: number): FetchState[] {
    const nowMs = this.#options.clock.monotonic();
    const states: FetchState[] = [];
    for (const state of this.#states.values()) {
      const leaderOfState = this.#leaderOf(state);
      // Requests of others refresh the metadata, too.
      if (!this.#loops.has(leaderOfState)) this.#startLoop(leaderOfState);
      if (state.retryAtMs > nowMs || leaderOfState !== leader) continue;
      this.#followTopic(state);
      states.push(state);
    }
    const first = this.#rotation++ % (states.length || 1);
    return first === 0 ? states : [...states.slice(first), ...states.slice(0, first)];
  }

  /**
   * Returns how long all partitions of the leader pause, ms; undefined if it leads none. While a start position is
   * looked up the pause has no limit: the loop polls then, because a stopped loop would be started again at once.
   */
  #pauseMs(leader: number): number | undefined {
    let retryAtMs: number | undefined;
    for (const state of this.#states.values()) {
      if (this.#leaderOf(state) === leader) retryAtMs = Math.min(retryAtMs ?? state.retryAtMs, state.retryAtMs);
    }
    if (retryAtMs === undefined) return undefined;
    return Math.min(Math.max(1, retryAtMs - this.#options.clock.monotonic()), retryBackoff.baseMs);
  }

  /** Restarts at the first record of a re-created topic, which has other records at the same positions. */
  #followTopic(state: FetchState): void {
    const id = this.#client.knownTopic(state.topic)?.id;
    if (id === undefined || id === state.topicId) return;
    const { topic, partition, next, topicId } = state;
    state.topicId = id;
    if (topicId === undefined) return;
    state.next = 0;
    const why = `topic ${topic} was re-created: position ${next} of partition ${partition} is of the former topic`;
    this.#options.report(new TailraceError('invalid_position', `${why}; reading starts at the first record`));
  }

  async #fetch(
    client: KafkaClient,
    leader: number,
    states: readonly FetchState[],
    isIdle: boolean,
  ): Promise<FetchAnswer> {
    const { clock, counts, flushMs, minBytes, maxBytes, partitionBytesMax } = this.#options;
    const broker = await client.broker(leader);
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
    if (answer.errorCode !== 0) throw errorFromCode(answer.errorCode, 'fetch records');
    return answer;
  }

  /** Processes a response. Returns the bytes of its records. */
  #accept(client: KafkaClient, answer: FetchAnswer, states: readonly FetchState[]): number {
    let total = 0;
    let isLedElsewhere = false;
    let at = 0;
    for (const part of answer.partitions) {
      // The broker answers nearly in the order of the request.
      const next = states[at++];
      const isNext = next?.partition === part.partition && next.topic === part.topic;
      const state = isNext ? next : find(states, part);
      if (state === undefined || state.queue.isClosed) continue;
      total += part.bytes;
      if (part.errorCode === 0) this.#advance(state, part);
      else if (part.errorCode === kafkaCode.offsetOutOfRange) void this.#restart(client, state);
      else {
        isLedElsewhere ||= isRetriable(part.errorCode) || part.errorCode === kafkaCode.unknownTopic;
        const { topic, partition, errorCode } = part;
        this.#pause(state, errorFromCode(errorCode, `fetch records of partition ${partition} of ${topic}`));
      }
    }
    if (isLedElsewhere) void this.#refreshLeaders(client, states);
    return total;
  }

  /** Pauses a partition, longer each time. */
  #pause(state: FetchState, error: TailraceError): void {
    const { clock, counts, report } = this.#options;
    counts.failedFetches++;
    const pauseMs = backoffMs(state.failures, noJitter, retryBackoff);
    // Consecutive errors are reported at intervals.
    if (state.failures++ % 20 === 0) report(error);
    state.retryAtMs = clock.monotonic() + pauseMs;
  }

  #advance(state: FetchState, fetched: FetchedPartition): void {
    const part = untilDoubtful(fetched, state);
    const { records } = part;
    // The partition has moved to another broker, and another loop has read from there in the meantime.
    if (part.from !== state.next) return;
    state.end = part.end;
    state.failures = 0;
    if (records.length > 0) {
      const taken = this.#options.buffer.push(state.queue, records, part.heldBytes);
      if (part.unreadable > 0) this.#countUnreadable(state, records.slice(0, taken));
      state.next = taken === records.length ? part.next : records[taken]!.seq;
      this.#resetStall(state);
    } else if (part.next > state.next) {
      // Only transaction markers, or records that compaction has removed.
      state.next = part.next;
      this.#resetStall(state);
    } else if (state.next < state.end) state.stalledSinceMs ??= this.#options.clock.monotonic();
    else this.#resetStall(state);
  }

  #resetStall(state: FetchState): void {
    state.stalledSinceMs = undefined;
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

  /** The position is out of range: records were deleted before they were read, or the log was re-created. */
  async #restart(client: KafkaClient, state: FetchState): Promise<void> {
    const { topic, partition, next } = state;
    // Not fetched until the position is known.
    state.retryAtMs = Number.POSITIVE_INFINITY;
    try {
      // Another topic ID alone shows that the topic was re-created: `#followTopic` restarts it once, at the next fetch.
      const { id } = await client.lookUp(topic, positionsTimeoutMs);
      if (id !== state.topicId) {
        state.retryAtMs = 0;
        return;
      }
      const first = (await client.offsets(topic, earliest, positionsTimeoutMs, [partition]))[partition] ?? 0;
      const end = (await client.offsets(topic, latest, positionsTimeoutMs, [partition]))[partition] ?? 0;
      state.retryAtMs = 0;
      if (next >= first && next <= end) return;
      const why =
        next < first ? 'its records were deleted before they were read' : 'the log was truncated or re-created';
      const what = `position ${next} of partition ${partition} of ${topic}: expected ${first} to ${end}; ${why}`;
      state.next = first;
      this.#options.report(new TailraceError('invalid_position', `${what}; reading continues at ${first}`));
    } catch (thrown) {
      state.retryAtMs = 0;
      if (client !== this.#client || state.queue.isClosed) return;
      this.#pause(state, client.errorFrom(thrown, `look up the first position of partition ${partition} of ${topic}`));
    }
  }

  async #refreshLeaders(client: KafkaClient, states: readonly FetchState[]): Promise<void> {
    await client.refresh().catch(() => {});
    for (const topic of new Set(states.map((state) => state.topic))) {
      if (client.knownTopic(topic) === undefined) await client.lookUp(topic, 0).catch(() => {});
    }
    if (client === this.#client) this.#startLoops();
  }
}

/** Returns the records before a batch with an error that may be transient: it is fetched once more. */
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
  return new TailraceError('internal', `${what}: ${message}; reading continues after them`);
}

function find(states: readonly FetchState[], part: FetchedPartition): FetchState | undefined {
  return states.find((state) => state.partition === part.partition && state.topic === part.topic);
}
