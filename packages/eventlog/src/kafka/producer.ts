import type { Clock, Timer } from '@tailrace/platform/clock';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { partitionOf } from '@tailrace/protocol/partition';
import type { NewRecord, Position } from '../event-log.ts';
import type { KafkaCodec } from './codecs.ts';
import { KafkaCounts } from './counts.ts';
import { kafkaCode, mayPass, refusedError } from './errors.ts';
import { type KafkaLink, sendTo } from './link.ts';
import {
  type AppendCall,
  appendingTo,
  PartitionQueue,
  type ProducerBatch,
  type ProducerId,
  pendingFrom,
} from './producer-batch.ts';
import { type ProduceResult, produceRequest } from './requests.ts';

export interface KafkaProducerOptions {
  readonly clock: Clock;
  /** How long records wait for others, ms. */
  readonly lingerMs: number;
  /** Of one partition in one request; below the broker's `max.message.bytes` (1,048,588 unless changed). */
  readonly batchBytesMax: number;
  /** Of one request. When so many bytes wait, the linger ends. */
  readonly requestBytesMax: number;
  /** Of all records accepted and not yet answered. Beyond it `append` rejects as `unavailable`. */
  readonly pendingBytesMax: number;
  /** A record that is not acknowledged within this time is rejected. */
  readonly appendTimeoutMs: number;
  /** How long the broker may wait for its replicas within one request. */
  readonly acknowledgeTimeoutMs: number;
  readonly codec: KafkaCodec;
  /** Default: counters that no metric reads. */
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

/** A call that waits for the metadata of its topic. */
interface WaitingCall {
  accept(queues: readonly PartitionQueue[]): void;
  reject(error: TailraceError): void;
}

const pauseFirstMs = 50;
const pauseMaxMs = 1000;
/** A partition that is not written to may hold this part of `pendingBytesMax`, so that the others have room. */
const blockedShare = 4;
/** All such partitions together may hold this part. */
const blockedTogetherShare = 2;
const tooLargeCodes: ReadonlySet<number> = new Set([kafkaCode.messageTooLarge, kafkaCode.recordListTooLarge]);
const lostSequenceCodes: ReadonlySet<number> = new Set([
  kafkaCode.unknownProducer,
  kafkaCode.outOfOrderSequence,
  kafkaCode.invalidProducerEpoch,
]);
const sequenceMax = 0x7fff_ffff;

/**
 * Appends with acks=all, in batches, exactly once as far as Kafka can.
 *
 * Each partition has a queue of records, and at most one batch taken out of it (see `BatchState`). This class alone
 * changes the state of batches:
 * - `append` adds records to the queues. They wait `lingerMs`, or for the request before them.
 * - `#pump` forms the batches of the queues in `#ready` and sends one request to each broker that leads some of them. A
 *   broker has one request of ours at a time: it would accept a second one only after it has answered the first, what
 *   comes meanwhile makes the next batch larger, and batches of a partition never overtake each other.
 * - `#settle` acts on the answer for one batch: acknowledged, failed, or ready again.
 *
 * A problem of one partition (no leader, too few replicas, a batch too large for its topic) holds up that partition
 * alone: its batch is sent again after a pause, and the rest of the broker's partitions goes meanwhile. A broker that
 * does not answer has a pause of its own.
 *
 * Idempotence (KIP-98): each batch carries the producer ID and, per partition, the sequence number of its first record.
 * A batch whose answer was lost is sent again as it was, and the broker answers with the position that it has had since
 * the first time. kafkajs's own idempotent producer is not used: after it gives up a batch, it reuses the batch's
 * sequence numbers for the next one, which the broker takes for a repetition, discards and acknowledges. Here an ID is
 * never used for a new batch once one of its batches was given up with its fate unknown.
 *
 * What cannot be excluded: a batch given up as `unavailable` may be in the log, or get there a moment later from the
 * broker's socket. The port says the same of a rejected append.
 */
export class KafkaProducer {
  readonly #link: KafkaLink;
  readonly #options: KafkaProducerOptions;
  readonly #counts: KafkaCounts;
  /** By topic, then partition. */
  readonly #queues = new Map<string, PartitionQueue[]>();
  /** By topic: calls that wait for its metadata. */
  readonly #waitingCalls = new Map<string, WaitingCall[]>();
  /** Queues with a batch that is `ready`, or with none and records that wait. */
  readonly #ready = new Set<PartitionQueue>();
  /** Brokers with an open request. */
  readonly #busyBrokers = new Set<number>();
  /** Brokers that did not answer. */
  readonly #unresponsiveBrokers = new Map<number, { retryAtMs: number; failures: number }>();
  #producerId: ProducerId | undefined;
  #newProducerId: Promise<ProducerId> | undefined;
  #timer: Timer | undefined;
  #retryTimer: Timer | undefined;
  /** Bytes of all records accepted and not in a request. */
  #readyBytes = 0;
  #pendingBytes = 0;
  #refused = 0;
  #requests = 0;
  #retries = 0;
  #givenUp = 0;
  #closed = false;
  #onIdle: (() => void) | undefined;

  constructor(link: KafkaLink, options: KafkaProducerOptions) {
    this.#link = link;
    this.#options = options;
    this.#counts = options.counts ?? new KafkaCounts();
  }

  /** Not async: a call takes its place in the order of its partitions before it returns. */
  append(topic: string, records: readonly NewRecord[]): Promise<readonly Position[]> {
    if (this.#closed) {
      const closed = `cannot append to topic ${shown(topic)}: the event log is closed`;
      return Promise.reject(new TailraceError('closed', closed));
    }
    const queues = this.#queues.get(topic);
    if (queues !== undefined) return this.#accept(queues, records);
    const { promise, resolve, reject } = Promise.withResolvers<readonly Position[]>();
    const call: WaitingCall = { accept: (created) => resolve(this.#accept(created, records)), reject };
    const calls = this.#waitingCalls.get(topic);
    if (calls !== undefined) calls.push(call);
    else void this.#createQueues(topic, [call]);
    return promise;
  }

  /** Waits until everything accepted has its answer. No appends after it. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#isIdle()) return;
    this.#pump();
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
  }

  stats(): KafkaProducerStats {
    return {
      pendingBytes: this.#pendingBytes,
      pendingBytesMax: this.#options.pendingBytesMax,
      refused: this.#refused,
      requests: this.#requests,
      retries: this.#retries,
      givenUp: this.#givenUp,
    };
  }

  async #createQueues(topic: string, calls: WaitingCall[]): Promise<void> {
    this.#waitingCalls.set(topic, calls);
    try {
      const { leaders } = await this.#link.topic(topic, this.#options.appendTimeoutMs);
      const queues = leaders.map((_, partition) => new PartitionQueue(topic, partition));
      this.#queues.set(topic, queues);
      // In the order of the calls, before any later one.
      for (const call of calls) call.accept(queues);
    } catch (thrown) {
      const error = this.#link.errorFrom(thrown, `append to topic ${shown(topic)}`);
      for (const call of calls) call.reject(error);
    }
    this.#waitingCalls.delete(topic);
    if (this.#isIdle()) this.#onIdle?.();
  }

  #isIdle(): boolean {
    return this.#waitingCalls.size === 0 && this.#pendingBytes === 0;
  }

  async #accept(queues: readonly PartitionQueue[], records: readonly NewRecord[]): Promise<readonly Position[]> {
    if (records.length === 0) return [];
    const { clock, requestBytesMax, lingerMs } = this.#options;
    const timeMs = Math.floor(clock.now());
    const { promise, resolve, reject } = Promise.withResolvers<readonly Position[]>();
    const call: AppendCall = {
      positions: new Array<Position>(records.length),
      startedMs: clock.monotonic(),
      unacknowledged: records.length,
      bytes: 0,
      resolve,
      reject,
    };
    const pending = records.map((record, index) => pendingFrom(record, index, call, timeMs));
    const ofPending = pending.map(({ key }) => queues[partitionOf(key, queues.length)]!);
    this.#assertRoom(call.bytes, ofPending);
    this.#pendingBytes += call.bytes;
    this.#readyBytes += call.bytes;
    for (let index = 0; index < pending.length; index++) {
      const queue = ofPending[index]!;
      // A batch that is sent adds its queue when it has its answer: by then another broker may lead the partition.
      if (queue.batch === undefined) this.#ready.add(queue);
      queue.push(pending[index]!);
    }
    // The end of an open request sends the next.
    if (this.#readyBytes >= requestBytesMax && this.#busyBrokers.size === 0) this.#pump();
    else this.#timer ??= clock.after(lingerMs, this.#pump);
    return await promise;
  }

  /** Throws `unavailable` where the bytes exceed the bound, or partitions that are not written to hold their share. */
  #assertRoom(bytes: number, queues: readonly PartitionQueue[]): void {
    const { pendingBytesMax } = this.#options;
    let waiting: string | undefined;
    let blocked: PartitionQueue | undefined;
    for (const queue of queues) {
      if (queue.failures > 0 && queue.bytes > (blocked?.bytes ?? 0)) blocked = queue;
    }
    if (this.#pendingBytes + bytes > pendingBytesMax) {
      waiting = `${this.#pendingBytes} of ${pendingBytesMax} bytes wait for Kafka's answer`;
    } else if (blocked !== undefined) {
      const { topic, partition, bytes: own } = blocked;
      const all = this.#blockedBytes();
      if (own > pendingBytesMax / blockedShare || all > pendingBytesMax / blockedTogetherShare) {
        const together = `${all} for all partitions that cannot be written`;
        waiting = `${own} bytes wait for partition ${partition} of topic ${shown(topic)}, ${together}`;
      }
    }
    if (waiting === undefined) return;
    this.#refused++;
    throw new TailraceError('unavailable', `cannot append ${bytes} bytes: ${waiting}; try again`);
  }

  /** Of all partitions that are not written to at present. */
  #blockedBytes(): number {
    let bytes = 0;
    for (const queues of this.#queues.values())
      for (const queue of queues) if (queue.failures > 0) bytes += queue.bytes;
    return bytes;
  }

  /** Sends what may go: to each broker without an open request, one with all that is ready for it. */
  readonly #pump = (): void => {
    const { clock, batchBytesMax, requestBytesMax } = this.#options;
    this.#timer?.cancel();
    this.#timer = undefined;
    const requests = new Map<number, { batches: ProducerBatch[]; bytes: number }>();
    const nowMs = clock.monotonic();
    let retryAtMs = Number.POSITIVE_INFINITY;
    for (const queue of this.#ready) {
      const leader = this.#leaderOf(queue);
      if (this.#busyBrokers.has(leader)) continue;
      const notBeforeMs = Math.max(queue.retryAtMs, this.#unresponsiveBrokers.get(leader)?.retryAtMs ?? 0);
      if (notBeforeMs > nowMs) {
        retryAtMs = Math.min(retryAtMs, notBeforeMs);
        continue;
      }
      const request = requests.get(leader) ?? { batches: [], bytes: 0 };
      if (request.bytes >= requestBytesMax) continue;
      const batch = queue.nextBatch(batchBytesMax);
      // One request has one producer ID: a batch that is sent again under an older one goes by itself.
      if (request.batches.length > 0 && batch.producerId !== request.batches[0]!.producerId) continue;
      this.#ready.delete(queue);
      this.#readyBytes -= batch.bytes;
      request.batches.push(batch);
      request.bytes += batch.bytes;
      requests.set(leader, request);
    }
    for (const [leader, { batches }] of requests) {
      this.#busyBrokers.add(leader);
      void this.#send(leader, batches);
    }
    this.#retryTimer?.cancel();
    this.#retryTimer =
      retryAtMs === Number.POSITIVE_INFINITY ? undefined : clock.after(Math.max(1, retryAtMs - nowMs), this.#pump);
  };

  /** One request. Batches that are to be sent again wait for their turn with all others. */
  async #send(leader: number, batches: readonly ProducerBatch[]): Promise<void> {
    for (const batch of batches) batch.sent();
    let error: TailraceError | undefined;
    try {
      await this.#request(leader, batches);
      this.#unresponsiveBrokers.delete(leader);
    } catch (thrown) {
      error = this.#link.errorFrom(thrown, appendingTo(batches));
      if (error.retryable) this.#pauseBroker(leader);
      for (const batch of batches) {
        if (batch.state === 'sent') batch.retry({ mayBeWritten: false, refusal: 0 });
        if (batch.state !== 'ready') continue;
        if (error.retryable) batch.queue.failures++;
        else this.#giveUp(batch, error);
      }
    }
    for (const batch of batches) if (batch.state === 'ready') this.#expire(batch, error);
    const again = batches.filter(({ state }) => state === 'ready');
    if (again.length > 0) this.#retries++;
    let isLedElsewhere = false;
    for (const { queue, refusal, bytes } of again) {
      // A batch that was halved goes at once.
      if (refusal !== 0) {
        isLedElsewhere = true;
        queue.retryAtMs = this.#options.clock.monotonic() + pauseMs(queue.failures++);
      }
      this.#ready.add(queue);
      this.#readyBytes += bytes;
    }
    // Other brokers may lead now: `#pump` asks for the leader of each queue again.
    if (isLedElsewhere || error !== undefined) this.#link.refresh().catch(() => {});
    this.#busyBrokers.delete(leader);
    if (this.#ready.size > 0) this.#pump();
    if (this.#isIdle()) this.#onIdle?.();
  }

  /** Sends the batches and settles each. Throws where the broker gave no answer at all. */
  async #request(leader: number, batches: readonly ProducerBatch[]): Promise<void> {
    const broker = leader < 0 ? undefined : await this.#link.broker(leader);
    const producerId = batches[0]!.producerId ?? (await this.#currentProducerId());
    const known: ProducerBatch[] = [];
    for (const batch of batches) {
      if (this.#link.knownTopic(batch.queue.topic) !== undefined) known.push(batch);
      else this.#giveUp(batch, refusedError(kafkaCode.unknownTopic, appendingTo([batch])));
    }
    if (known.length === 0) return;
    if (broker === undefined) throw new TailraceError('unavailable', 'the partition has no leader at present');
    const parts = known.map((batch) => {
      batch.producerId = producerId;
      const { queue, records, bytes } = batch;
      const { topic, partition } = queue;
      return { topic, partition, records, bytes, firstSequence: producerId.sequences.get(queue.name) ?? 0 };
    });
    const { codec, clock, acknowledgeTimeoutMs: timeoutMs } = this.#options;
    const { producerEpoch } = producerId;
    const request = produceRequest(parts, { producerId: producerId.producerId, producerEpoch, codec, timeoutMs });
    this.#requests++;
    const startMs = clock.monotonic();
    let results: readonly ProduceResult[];
    try {
      const answer = await sendTo(broker, request);
      this.#counts.throttleMs += answer.clientSideThrottleTime;
      results = answer.results;
    } catch (thrown) {
      for (const batch of known) batch.retry({ mayBeWritten: true, refusal: 0 });
      throw thrown;
    } finally {
      this.#counts.produceSeconds.observe((clock.monotonic() - startMs) / 1_000);
    }
    for (const batch of known) {
      const { topic, partition } = batch.queue;
      const result = results.find((one) => one.partition === partition && one.topic === topic);
      this.#settle(batch, result);
    }
  }

  /** Acts on the answer for one batch; undefined: the broker left it out. */
  #settle(batch: ProducerBatch, result: ProduceResult | undefined): void {
    const { producerId } = batch;
    const code = result?.errorCode ?? kafkaCode.unknownTopic;
    if (result !== undefined && code === 0) {
      this.#advance(producerId!, batch);
      batch.acknowledge(result.firstSeq);
      this.#done(batch);
    } else if (tooLargeCodes.has(code)) {
      if (batch.records.length === 1) this.#giveUp(batch, tooLargeError(batch));
      else this.#readyBytes += batch.halve();
    } else if (lostSequenceCodes.has(code)) {
      // The broker has lost count: its log was truncated, or the ID expired. Under a new ID the batch is a new one.
      this.#retire(producerId!);
      if (batch.mayBeWritten) this.#giveUp(batch, refusedError(code, appendingTo([batch])));
      else batch.retryAsNew(code);
    } else if (mayPass(code) || code === kafkaCode.unknownTopic) {
      // Refused for the moment; or written here, but on too few replicas: the same batch again finds itself there.
      // A topic that was deleted shows when its metadata are fetched again.
      batch.retry({ mayBeWritten: true, refusal: code });
    } else this.#giveUp(batch, refusedError(code, appendingTo([batch])));
  }

  #giveUp(batch: ProducerBatch, error: TailraceError): void {
    this.#givenUp++;
    if (batch.mayBeWritten && batch.producerId !== undefined) this.#retire(batch.producerId);
    batch.fail(error);
    this.#done(batch);
  }

  #done({ queue, bytes }: ProducerBatch): void {
    this.#pendingBytes -= bytes;
    queue.failures = 0;
    queue.retryAtMs = 0;
    if (!queue.isEmpty) this.#ready.add(queue);
    else if (this.#link.knownTopic(queue.topic) === undefined) this.#forget(queue.topic);
  }

  /** The topic is gone. Only when nothing of it is pending: a partition must not have two queues. */
  #forget(topic: string): void {
    if (this.#queues.get(topic)?.every(({ isIdle }) => isIdle)) this.#queues.delete(topic);
  }

  /** Gives up a batch that is older than `appendTimeoutMs`, and the records behind it that are. */
  #expire(batch: ProducerBatch, cause: TailraceError | undefined): void {
    const { clock, appendTimeoutMs } = this.#options;
    const oldestMs = clock.monotonic() - appendTimeoutMs;
    if (batch.startedMs > oldestMs) return;
    const reason = cause?.message ?? refusalMessage(batch);
    const error = new TailraceError('unavailable', `not acknowledged within ${appendTimeoutMs} ms: ${reason}`, {
      cause,
    });
    // Records that have waited behind it for too long are not sent at all.
    const bytes = batch.queue.expire(oldestMs, error);
    this.#readyBytes -= bytes;
    this.#pendingBytes -= bytes;
    this.#giveUp(batch, error);
  }

  #pauseBroker(leader: number): void {
    const failures = this.#unresponsiveBrokers.get(leader)?.failures ?? 0;
    const retryAtMs = this.#options.clock.monotonic() + pauseMs(failures);
    this.#unresponsiveBrokers.set(leader, { retryAtMs, failures: failures + 1 });
  }

  #leaderOf({ topic, partition }: PartitionQueue): number {
    return this.#link.knownTopic(topic)?.leaders[partition] ?? -1;
  }

  #advance(producerId: ProducerId, { queue, records }: ProducerBatch): void {
    const next = (producerId.sequences.get(queue.name) ?? 0) + records.length;
    producerId.sequences.set(queue.name, next);
    // Sequence numbers have 31 bits. Long before they end, another ID starts at 0.
    if (next > sequenceMax / 2) this.#retire(producerId);
  }

  async #currentProducerId(): Promise<ProducerId> {
    if (this.#producerId !== undefined) return this.#producerId;
    this.#newProducerId ??= this.#requestProducerId().finally(() => {
      this.#newProducerId = undefined;
    });
    return await this.#newProducerId;
  }

  async #requestProducerId(): Promise<ProducerId> {
    const broker = await this.#link.anyBroker();
    const { producerId, producerEpoch } = await broker.initProducerId({ transactionTimeout: 60_000 });
    this.#producerId = { producerId: Number(producerId), producerEpoch, sequences: new Map() };
    return this.#producerId;
  }

  /** Batches that were not sent yet get another ID. */
  #retire(producerId: ProducerId): void {
    if (this.#producerId === producerId) this.#producerId = undefined;
  }
}

function pauseMs(failures: number): number {
  return Math.min(pauseFirstMs * 2 ** failures, pauseMaxMs);
}

function refusalMessage(batch: ProducerBatch): string {
  const { refusal } = batch;
  if (refusal === 0) return 'the broker refused it repeatedly';
  return refusedError(refusal, appendingTo([batch])).message;
}

function tooLargeError({ queue, records, bytes }: ProducerBatch): TailraceError {
  const what = `the record with key ${shown(records[0]!.key)} has ${bytes} bytes`;
  const advice = 'raise max.message.bytes of the topic, or send less in one record';
  return new TailraceError('too_large', `${what}, more than topic ${shown(queue.topic)} takes; ${advice}`);
}
