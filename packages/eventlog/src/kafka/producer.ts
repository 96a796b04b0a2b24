import type { Clock, Timer } from '@tailrace/platform/clock';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { partitionOf } from '@tailrace/protocol/partition';
import type { NewRecord, Position } from '../eventlog.ts';
import type { KafkaCodec } from './codecs.ts';
import { KafkaCounts } from './counts.ts';
import { refusedError } from './errors.ts';
import {
  appendingTo,
  bytesOf,
  type Call,
  createLane,
  dropOverdue,
  type Flight,
  isIdle,
  type Lane,
  pendingFrom,
  takeFlight,
} from './lanes.ts';
import type { KafkaLink } from './link.ts';
import { KafkaSender } from './sender.ts';

/**
 * Appends with acks=all, in batches, exactly once as far as Kafka can (see sender.ts).
 *
 * Records wait `lingerMs`, or for the request before them, and then go in one request to each broker that leads some of their
 * partitions. A broker has one request of ours at a time: it would take up a second only after answering the first anyway,
 * what comes meanwhile makes the next batch larger, and batches of a partition never overtake each other.
 *
 * What is wrong with one partition (it has no leader, or too few replicas; its topic does not take so large a batch)
 * holds up that partition alone: its batch goes again after a pause, and what else is ready for the broker goes
 * meanwhile. A broker that does not answer has a pause of its own.
 *
 * What cannot be excluded: a batch given up as `unavailable` may be in the log, or come into it a moment later from the
 * broker's socket. That is what the port says of a rejected append.
 */
export interface KafkaProducerOptions {
  readonly clock: Clock;
  readonly lingerMs: number;
  /** Of one partition in one request; below the broker's `max.message.bytes` (1,048,588 unless changed). */
  readonly batchBytesMax: number;
  /** Of one request; at that many bytes waiting, no more lingering. */
  readonly requestBytesMax: number;
  /** Of all records accepted and not yet answered. Beyond it, `append` is refused as `unavailable`. */
  readonly pendingBytesMax: number;
  /** After this long without success a record is given up. */
  readonly appendTimeoutMs: number;
  /** How long the broker may wait for its replicas within one request. */
  readonly acknowledgeTimeoutMs: number;
  readonly codec: KafkaCodec;
  /** Default: nobody asks. */
  readonly counts?: KafkaCounts;
}

export interface KafkaProducerStats {
  /** Bytes accepted and not yet answered, and the bound. */
  readonly pendingBytes: number;
  readonly pendingBytesMax: number;
  /** Appends refused at the bound, since the start. */
  readonly refused: number;
  readonly requests: number;
  /** Requests sent again, and batches given up. */
  readonly retries: number;
  readonly givenUp: number;
}

interface Waiter {
  go(lanes: readonly Lane[]): void;
  reject(error: TailraceError): void;
}

const pauseFirstMs = 50;
const pauseMaxMs = 1000;
/**
 * A partition that is not written to may hold this part of what may be pending, so that there is room for the others.
 */
const blockedShare = 4;
/** And all such partitions together this part. */
const blockedTogetherShare = 2;

export class KafkaProducer {
  readonly #link: KafkaLink;
  readonly #options: KafkaProducerOptions;
  readonly #sender: KafkaSender;
  readonly #lanes = new Map<string, Lane[]>();
  /** Calls that wait for their topic to be looked up. */
  readonly #openings = new Map<string, Waiter[]>();
  /** Lanes with something waiting, or with a flight that has to go again. */
  readonly #ready = new Set<Lane>();
  readonly #busyBrokers = new Set<number>();
  /** Brokers that did not answer. */
  readonly #unresponsiveBrokers = new Map<number, { retryAtMs: number; failures: number }>();
  #timer: Timer | undefined;
  #retryTimer: Timer | undefined;
  #readyBytes = 0;
  #pendingBytes = 0;
  #refused = 0;
  #retries = 0;
  #closed = false;
  #idle: (() => void) | undefined;

  constructor(link: KafkaLink, options: KafkaProducerOptions) {
    const { clock, codec, acknowledgeTimeoutMs, counts = new KafkaCounts() } = options;
    this.#link = link;
    this.#options = options;
    this.#sender = new KafkaSender(link, {
      clock,
      counts,
      codec,
      acknowledgeTimeoutMs,
      onDone: (flight) => this.#done(flight),
      onReturned: (bytes) => {
        this.#readyBytes += bytes;
      },
    });
  }

  /** Not async: a call takes its place in the order of its partitions before it returns. */
  append(topic: string, records: readonly NewRecord[]): Promise<readonly Position[]> {
    if (this.#closed) {
      const closed = `cannot append to topic ${shown(topic)}: the event log is closed`;
      return Promise.reject(new TailraceError('closed', closed));
    }
    const lanes = this.#lanes.get(topic);
    if (lanes !== undefined) return this.#accept(lanes, records);
    const { promise, resolve, reject } = Promise.withResolvers<readonly Position[]>();
    const waiter = { go: (opened: readonly Lane[]) => resolve(this.#accept(opened, records)), reject };
    const waiters = this.#openings.get(topic);
    if (waiters !== undefined) waiters.push(waiter);
    else void this.#openTopic(topic, [waiter]);
    return promise;
  }

  /** Waits until everything accepted has its answer. No appends after it. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#openings.size === 0 && this.#pendingBytes === 0) return;
    this.#pump();
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
  }

  stats(): KafkaProducerStats {
    return {
      pendingBytes: this.#pendingBytes,
      pendingBytesMax: this.#options.pendingBytesMax,
      refused: this.#refused,
      requests: this.#sender.requests,
      retries: this.#retries,
      givenUp: this.#sender.givenUp,
    };
  }

  async #openTopic(topic: string, waiters: Waiter[]): Promise<void> {
    this.#openings.set(topic, waiters);
    try {
      const { leaders } = await this.#link.topic(topic, this.#options.appendTimeoutMs);
      const lanes = leaders.map((_, partition) => createLane(topic, partition));
      this.#lanes.set(topic, lanes);
      // In the order of the calls, before any later one.
      for (const waiter of waiters) waiter.go(lanes);
    } catch (thrown) {
      const error = this.#link.errorFrom(thrown, `append to topic ${shown(topic)}`);
      for (const waiter of waiters) waiter.reject(error);
    }
    this.#openings.delete(topic);
    this.#sayIdle();
  }

  /** Of all partitions that are not written to at present. */
  #blockedBytes(): number {
    let bytes = 0;
    for (const lanes of this.#lanes.values()) for (const lane of lanes) if (lane.failures > 0) bytes += bytesOf(lane);
    return bytes;
  }

  #sayIdle(): void {
    if (this.#openings.size === 0 && this.#pendingBytes === 0) this.#idle?.();
  }

  async #accept(lanes: readonly Lane[], records: readonly NewRecord[]): Promise<readonly Position[]> {
    if (records.length === 0) return [];
    const { clock, pendingBytesMax, requestBytesMax, lingerMs } = this.#options;
    const timeMs = Math.floor(clock.now());
    const { promise, resolve, reject } = Promise.withResolvers<readonly Position[]>();
    const positions = new Array<Position>(records.length);
    const call: Call = { positions, startedMs: clock.monotonic(), left: records.length, bytes: 0, resolve, reject };
    const pending = records.map((record, index) => pendingFrom(record, index, call, timeMs));
    if (this.#pendingBytes + call.bytes > pendingBytesMax) {
      this.#refused++;
      const full = `${this.#pendingBytes} of ${pendingBytesMax} bytes wait for Kafka's answer`;
      throw new TailraceError('unavailable', `cannot append ${call.bytes} bytes: ${full}; try again`);
    }
    const ofPending = new Array<Lane>(pending.length);
    let blocked: Lane | undefined;
    for (let index = 0; index < pending.length; index++) {
      const lane = lanes[partitionOf(pending[index]!.key, lanes.length)]!;
      if (lane.failures > 0 && (blocked === undefined || bytesOf(lane) > bytesOf(blocked))) blocked = lane;
      ofPending[index] = lane;
    }
    if (blocked !== undefined) {
      const own = bytesOf(blocked);
      const all = this.#blockedBytes();
      if (own > pendingBytesMax / blockedShare || all > pendingBytesMax / blockedTogetherShare) {
        this.#refused++;
        const waits = `${own} bytes wait for partition ${blocked.partition} of topic ${shown(blocked.topic)}, ${all} for all partitions that cannot be written`;
        throw new TailraceError('unavailable', `cannot append ${call.bytes} bytes: ${waits}; try again`);
      }
    }
    this.#pendingBytes += call.bytes;
    this.#readyBytes += call.bytes;
    for (let index = 0; index < pending.length; index++) {
      const record = pending[index]!;
      const lane = ofPending[index]!;
      // A batch that is under way adds the lane when it has its answer: by then another broker may lead the partition.
      if (lane.flight === undefined) this.#ready.add(lane);
      lane.waiting.push(record);
      lane.waitingBytes += record.bytes;
    }
    // While a request is under way its end sends the next.
    if (this.#readyBytes >= requestBytesMax && this.#busyBrokers.size === 0) this.#pump();
    else this.#timer ??= clock.after(lingerMs, this.#pump);
    return await promise;
  }

  /** Sends what may go: to each broker without a request of ours, one with all that is ready for it. */
  readonly #pump = (): void => {
    this.#timer?.cancel();
    this.#timer = undefined;
    const loads = new Map<number, Flight[]>();
    const bytes = new Map<number, number>();
    const nowMs = this.#options.clock.monotonic();
    let retryAtMs = Number.POSITIVE_INFINITY;
    for (const lane of this.#ready) {
      const leader = this.#leaderOf(lane);
      if (this.#busyBrokers.has(leader)) continue;
      const notBeforeMs = Math.max(lane.retryAtMs, this.#unresponsiveBrokers.get(leader)?.retryAtMs ?? 0);
      if (notBeforeMs > nowMs) {
        retryAtMs = Math.min(retryAtMs, notBeforeMs);
        continue;
      }
      const load = loads.get(leader) ?? [];
      const loaded = bytes.get(leader) ?? 0;
      if (loaded >= this.#options.requestBytesMax) continue;
      const flight = lane.flight ?? takeFlight(lane, this.#options.batchBytesMax);
      // One request has one producer's ID: what goes again under an older one goes by itself.
      if (load.length > 0 && flight.identity !== load[0]!.identity) continue;
      this.#ready.delete(lane);
      this.#readyBytes -= flight.bytes;
      load.push(flight);
      loads.set(leader, load);
      bytes.set(leader, loaded + flight.bytes);
    }
    for (const [leader, load] of loads) {
      this.#busyBrokers.add(leader);
      void this.#send(leader, load);
    }
    this.#retryTimer?.cancel();
    this.#retryTimer =
      retryAtMs === Number.POSITIVE_INFINITY
        ? undefined
        : this.#options.clock.after(Math.max(1, retryAtMs - nowMs), this.#pump);
  };

  /** One request. What has to go again waits for its turn with everything else. */
  async #send(leader: number, flights: readonly Flight[]): Promise<void> {
    let again: Flight[];
    let why: TailraceError | undefined;
    try {
      again = [...(await this.#sender.attempt(leader, flights))];
      this.#unresponsiveBrokers.delete(leader);
    } catch (thrown) {
      why = this.#link.errorFrom(thrown, appendingTo(flights));
      // Some may have been given up before it failed.
      again = flights.filter((flight) => flight.lane.flight === flight);
      if (why.retryable) {
        this.#pauseBroker(leader);
        for (const { lane } of again) lane.failures++;
      } else for (const flight of again.splice(0)) this.#sender.giveUp(flight, why);
    }
    again = this.#withoutOverdue(again, why);
    if (again.length > 0) this.#retries++;
    let isLedElsewhere = false;
    for (const flight of again) {
      // One that was halved goes at once.
      if (why === undefined && flight.putOffBy !== 0) {
        isLedElsewhere = true;
        const { lane } = flight;
        lane.retryAtMs = this.#options.clock.monotonic() + pauseMs(lane.failures++);
      }
      this.#ready.add(flight.lane);
      this.#readyBytes += flight.bytes;
    }
    // Others may lead now: each lane finds its broker anew.
    if (isLedElsewhere || why !== undefined) this.#link.refresh().catch(() => {});
    this.#busyBrokers.delete(leader);
    if (this.#ready.size > 0) this.#pump();
    this.#sayIdle();
  }

  #pauseBroker(leader: number): void {
    const failures = this.#unresponsiveBrokers.get(leader)?.failures ?? 0;
    const retryAtMs = this.#options.clock.monotonic() + pauseMs(failures);
    this.#unresponsiveBrokers.set(leader, { retryAtMs, failures: failures + 1 });
  }

  #leaderOf(lane: Lane): number {
    return this.#link.knownTopic(lane.topic)?.leaders[lane.partition] ?? -1;
  }

  #done(flight: Flight): void {
    const { lane } = flight;
    this.#pendingBytes -= flight.bytes;
    lane.flight = undefined;
    lane.failures = 0;
    lane.retryAtMs = 0;
    if (lane.waiting.length > 0) this.#ready.add(lane);
    else if (this.#link.knownTopic(lane.topic) === undefined) this.#forget(lane.topic);
  }

  /** The topic is gone. Only when nothing of it is under way: a partition must not have two queues. */
  #forget(topic: string): void {
    if (this.#lanes.get(topic)?.every(isIdle)) this.#lanes.delete(topic);
  }

  #withoutOverdue(flights: readonly Flight[], why: TailraceError | undefined): Flight[] {
    const { clock, appendTimeoutMs } = this.#options;
    const oldest = clock.monotonic() - appendTimeoutMs;
    return flights.filter((flight) => {
      if (flight.records[0]!.call.startedMs > oldest) return true;
      const said = why?.message ?? putOffMessage(flight);
      const error = new TailraceError('unavailable', `not acknowledged within ${appendTimeoutMs} ms: ${said}`, {
        cause: why,
      });
      // What has waited behind it too long is not tried at all.
      const bytes = dropOverdue(flight.lane, oldest, error);
      this.#readyBytes -= bytes;
      this.#pendingBytes -= bytes;
      this.#sender.giveUp(flight, error);
      return false;
    });
  }
}

function pauseMs(failures: number): number {
  return Math.min(pauseFirstMs * 2 ** failures, pauseMaxMs);
}

function putOffMessage(flight: Flight): string {
  const { putOffBy } = flight;
  return putOffBy === 0
    ? 'the broker put it off again and again'
    : refusedError(putOffBy, appendingTo([flight])).message;
}
