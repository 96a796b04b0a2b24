import type { Clock, Timer } from '@tailrace/platform/clock';
import { backoffMs, noJitter } from '@tailrace/protocol/backoff';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { partitionOf } from '@tailrace/protocol/partition';
import type { NewRecord, Position, RecordSettled } from '../event-log.ts';
import type { LogState } from '../log-state.ts';
import { type KafkaClient, retryBackoff, sendTo } from './client.ts';
import type { KafkaCodec } from './codecs.ts';
import { KafkaCounts } from './counts.ts';
import { errorFromCode, isRetriable, kafkaCode } from './errors.ts';
import {
  AppendAllCall,
  AppendEachCall,
  appendingTo,
  PartitionQueue,
  type PendingRecord,
  type ProducerBatch,
  type ProducerId,
  pendingBytesOf,
  pendingFrom,
  type RemovedRecords,
} from './producer-batch.ts';
import { type ProduceResult, produceRequest } from './requests.ts';

export interface KafkaProducerOptions {
  readonly clock: Clock;
  /** The state of the event log. Appends are accepted while it is `open`. */
  readonly state: Pick<LogState, 'current' | 'notOpenError'>;
  /** How long records wait for others, ms. */
  readonly lingerMs: number;
  /** Most bytes of one partition in one request; below `max.message.bytes` of the broker (default: 1,048,588). */
  readonly batchBytesMax: number;
  /** Most bytes of one request. When this number waits, it is sent before the linger has expired. */
  readonly requestBytesMax: number;
  /** Most bytes of all accepted and unacknowledged records. Beyond it `append` rejects with `unavailable`. */
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
  /** Bytes accepted and not acknowledged, and the limit. */
  readonly pendingBytes: number;
  readonly pendingBytesMax: number;
  /** Records refused at the limit, since the start. */
  readonly refusedRecords: number;
  readonly requests: number;
  /** Retried requests. */
  readonly retries: number;
  /** Records that were not acknowledged within `appendTimeoutMs`. */
  readonly expiredRecords: number;
}

/** A call that waits for the metadata of its topic. */
interface WaitingCall {
  /** What its records count against `pendingBytesMax` meanwhile. */
  readonly bytes: number;
  accept(queues: readonly PartitionQueue[]): void;
  reject(error: TailraceError): void;
}

/** A blocked partition may hold this share of `pendingBytesMax`, so that the others have capacity. */
const blockedShare = 4;
/** All blocked partitions together may hold this share. */
const blockedTogetherShare = 2;
const tooLargeCodes: ReadonlySet<number> = new Set([kafkaCode.messageTooLarge, kafkaCode.recordListTooLarge]);
const lostSequenceCodes: ReadonlySet<number> = new Set([
  kafkaCode.unknownProducer,
  kafkaCode.outOfOrderSequence,
  kafkaCode.invalidProducerEpoch,
]);
const sequenceMax = 0x7fff_ffff;

/**
 * An idempotent producer with acks=all.
 *
 * Each partition has a queue of records, and at most one batch that is taken from it (see `BatchState`). This class
 * alone changes the state of batches:
 * - `append` and `appendEach` add records to the queues. They wait for `lingerMs`, or for the previous request.
 * - `#pump` forms the batches of the queues in `#ready`, and sends one request to each broker that leads some of them.
 *   Each broker has at most one request in flight: it processes the requests of a connection one by one, the next batch
 *   grows in the meantime, and the batches of a partition keep their order.
 * - `#settle` processes the result of one batch: acknowledged, failed, or ready again.
 *
 * An error of one partition (no leader, too few replicas, a batch too large for its topic) delays that partition alone:
 * its batch is retried after a pause, and the other partitions of the broker continue. An unresponsive broker has its
 * own pause.
 *
 * Idempotence (KIP-98): each batch has the producer ID and, per partition, the sequence number of its first record. A
 * batch whose answer was lost is sent again unchanged, and the broker answers with the position of the first attempt.
 * kafkajs's own idempotent producer is not used: after a batch has failed, it reuses the sequence numbers for the next
 * batch, which the broker discards as a duplicate and acknowledges. Here a producer ID is not used for new batches
 * after one of its batches has failed with an unknown outcome.
 *
 * A batch that failed as `unavailable` may be in the log, or may still be written from the socket of the broker. The
 * port allows this for a rejected append.
 */
export class KafkaProducer {
  readonly #client: KafkaClient;
  readonly #options: KafkaProducerOptions;
  readonly #counts: KafkaCounts;
  /** By topic, then partition. */
  readonly #queues = new Map<string, PartitionQueue[]>();
  /** By topic: calls that wait for its metadata. */
  readonly #waitingCalls = new Map<string, WaitingCall[]>();
  /** Queues with a batch that is `ready`, or without a batch and with records. */
  readonly #ready = new Set<PartitionQueue>();
  /** Brokers with a request in flight. */
  readonly #busyBrokers = new Set<number>();
  /** Brokers that did not answer. */
  readonly #unresponsiveBrokers = new Map<number, { retryAtMs: number; failures: number }>();
  #producerId: ProducerId | undefined;
  #newProducerId: Promise<ProducerId> | undefined;
  #timer: Timer | undefined;
  #retryTimer: Timer | undefined;
  /** Bytes of all accepted records that are in no request. */
  #readyBytes = 0;
  #pendingBytes = 0;
  #refusedRecords = 0;
  #requests = 0;
  #retries = 0;
  #expiredRecords = 0;
  #onIdle: (() => void) | undefined;

  constructor(client: KafkaClient, options: KafkaProducerOptions) {
    this.#client = client;
    this.#options = options;
    this.#counts = options.counts ?? new KafkaCounts();
  }

  /**
   * `append` of the event log. Rejects with `closed` while that is not open. Not async: the records have their place in
   * their queues before the call returns.
   */
  readonly append = (topic: string, records: readonly NewRecord[]): Promise<readonly Position[]> => {
    const { state } = this.#options;
    if (state.current !== 'open') return Promise.reject(state.notOpenError(`append to topic ${shown(topic)}`));
    const queues = this.#queues.get(topic);
    if (queues !== undefined) return this.#accept(queues, records);
    return this.#wait(topic, records);
  };

  /** `appendEach` of the event log. */
  readonly appendEach = (topic: string, records: readonly NewRecord[], settled: RecordSettled): void => {
    const { state, clock } = this.#options;
    const call = new AppendEachCall(clock.monotonic(), settled);
    const queues = this.#queues.get(topic);
    if (state.current !== 'open') call.refuseAll(records.length, state.notOpenError(`append to topic ${shown(topic)}`));
    else if (queues !== undefined) this.#acceptEach(queues, records, call);
    else this.#waitEach(topic, records, call);
  };

  /** Accepts the records when the metadata of their topic are known. */
  async #wait(topic: string, records: readonly NewRecord[]): Promise<readonly Position[]> {
    let bytes = 0;
    for (const record of records) bytes += pendingBytesOf(record);
    this.#assertCapacity(bytes, records.length, []);
    const { promise, resolve, reject } = Promise.withResolvers<readonly Position[]>();
    this.#addWaiting(topic, { bytes, accept: (queues) => resolve(this.#accept(queues, records)), reject });
    return await promise;
  }

  /**
   * The same for records of `appendEach`. Until the metadata are known, the limit of pending bytes refuses all of them.
   */
  #waitEach(topic: string, records: readonly NewRecord[], call: AppendEachCall): void {
    let bytes = 0;
    // A record that is too large itself does not count: `#acceptEach` refuses it.
    for (const record of records) bytes += acceptableBytesOf(record);
    try {
      this.#assertCapacity(bytes, records.length, []);
    } catch (thrown) {
      call.refuseAll(records.length, tailraceErrorFrom(thrown));
      return;
    }
    this.#addWaiting(topic, {
      bytes,
      accept: (queues) => this.#acceptEach(queues, records, call),
      reject: (error) => call.refuseAll(records.length, error),
    });
  }

  /** Adds a call whose records are pending until the metadata of their topic are known. */
  #addWaiting(topic: string, call: WaitingCall): void {
    this.#pendingBytes += call.bytes;
    const calls = this.#waitingCalls.get(topic);
    if (calls !== undefined) calls.push(call);
    else void this.#createQueues(topic, [call]);
  }

  /** Sends all accepted records without a linger, and resolves when they are settled. For a log that is closing. */
  async flush(): Promise<void> {
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
      refusedRecords: this.#refusedRecords,
      requests: this.#requests,
      retries: this.#retries,
      expiredRecords: this.#expiredRecords,
    };
  }

  async #createQueues(topic: string, calls: WaitingCall[]): Promise<void> {
    this.#waitingCalls.set(topic, calls);
    try {
      const { leaders } = await this.#client.topic(topic, this.#options.appendTimeoutMs);
      const queues = leaders.map((_, partition) => new PartitionQueue(topic, partition));
      this.#queues.set(topic, queues);
      // In the order of the calls, before later ones.
      for (const call of calls) {
        this.#pendingBytes -= call.bytes;
        call.accept(queues);
      }
    } catch (thrown) {
      const error = this.#client.errorFrom(thrown, `append to topic ${shown(topic)}`);
      for (const call of calls) {
        this.#pendingBytes -= call.bytes;
        call.reject(error);
      }
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
    const call = new AppendAllCall(clock.monotonic(), records.length);
    const pending: PendingRecord[] = [];
    const ownQueues: PartitionQueue[] = [];
    let bytes = 0;
    for (let index = 0; index < records.length; index++) {
      const record = pendingFrom(records[index]!, index, call, timeMs);
      pending.push(record);
      ownQueues.push(queues[partitionOf(record.key, queues.length)]!);
      bytes += record.bytes;
    }
    this.#assertCapacity(bytes, records.length, ownQueues);
    this.#pendingBytes += bytes;
    this.#readyBytes += bytes;
    for (let index = 0; index < pending.length; index++) {
      const queue = ownQueues[index]!;
      // A queue with a batch in flight is added when that is settled: another broker may lead the partition by then.
      if (queue.batch === undefined) this.#ready.add(queue);
      queue.push(pending[index]!);
    }
    // A request in flight is followed by the next one.
    if (this.#readyBytes >= requestBytesMax && this.#busyBrokers.size === 0) this.#pump();
    else this.#timer ??= clock.after(lingerMs, this.#pump);
    return await call.promise;
  }

  /** Accepts the records one by one: one that is too large, or beyond a limit, is refused alone. */
  #acceptEach(queues: readonly PartitionQueue[], records: readonly NewRecord[], call: AppendEachCall): void {
    const { clock, requestBytesMax, lingerMs } = this.#options;
    const timeMs = Math.floor(clock.now());
    /** By partition, the error of its records: one for each of thousands would cost more than the records. */
    let refusals: Map<PartitionQueue, TailraceError> | undefined;
    for (let index = 0; index < records.length; index++) {
      try {
        const pending = pendingFrom(records[index]!, index, call, timeMs);
        const queue = queues[partitionOf(pending.key, queues.length)]!;
        const waiting = this.#waitingText(pending.bytes, queue.failures > 0 ? queue : undefined);
        if (waiting === undefined) {
          this.#pendingBytes += pending.bytes;
          this.#readyBytes += pending.bytes;
          if (queue.batch === undefined) this.#ready.add(queue);
          queue.push(pending);
        } else {
          this.#refusedRecords++;
          const error = refusals?.get(queue) ?? overLimit(pending.bytes, waiting);
          refusals ??= new Map();
          refusals.set(queue, error);
          call.refuse(index, error);
        }
      } catch (thrown) {
        call.refuse(index, tailraceErrorFrom(thrown));
      }
    }
    if (this.#readyBytes >= requestBytesMax && this.#busyBrokers.size === 0) this.#pump();
    else if (this.#ready.size > 0) this.#timer ??= clock.after(lingerMs, this.#pump);
  }

  /** Throws `unavailable` if the bytes exceed the limit, or blocked partitions their share of it. */
  #assertCapacity(bytes: number, records: number, queues: readonly PartitionQueue[]): void {
    let blocked: PartitionQueue | undefined;
    for (const queue of queues) {
      if (queue.failures > 0 && queue.bytes > (blocked?.bytes ?? 0)) blocked = queue;
    }
    if (blocked === undefined && this.#pendingBytes + bytes <= this.#options.pendingBytesMax) return;
    const waiting = this.#waitingText(bytes, blocked);
    if (waiting === undefined) return;
    this.#refusedRecords += records;
    throw overLimit(bytes, waiting);
  }

  /** Returns what waits, for the error, if the bytes exceed the limit, or blocked partitions their share of it. */
  #waitingText(bytes: number, blocked: PartitionQueue | undefined): string | undefined {
    const { pendingBytesMax } = this.#options;
    if (this.#pendingBytes + bytes > pendingBytesMax)
      return `${this.#pendingBytes} of ${pendingBytesMax} bytes wait for Kafka's answer`;
    if (blocked === undefined) return undefined;
    const { topic, partition, bytes: own } = blocked;
    const all = this.#blockedBytes();
    if (own <= pendingBytesMax / blockedShare && all <= pendingBytesMax / blockedTogetherShare) return undefined;
    const together = `${all} for all partitions that cannot be written`;
    return `${own} bytes wait for partition ${partition} of topic ${shown(topic)}, ${together}`;
  }

  /** Returns the bytes of all blocked partitions. */
  #blockedBytes(): number {
    let bytes = 0;
    for (const queues of this.#queues.values())
      for (const queue of queues) if (queue.failures > 0) bytes += queue.bytes;
    return bytes;
  }

  /** Sends a request with all ready batches to each broker without a request in flight. */
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
      // A request has one producer ID: a batch that is retried with an older one has its own request.
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

  /** Sends one request. Batches to be retried are added to `#ready`. */
  async #send(leader: number, batches: readonly ProducerBatch[]): Promise<void> {
    for (const batch of batches) batch.sent();
    let error: TailraceError | undefined;
    try {
      await this.#request(leader, batches);
      this.#unresponsiveBrokers.delete(leader);
    } catch (thrown) {
      error = this.#client.errorFrom(thrown, appendingTo(batches));
      if (error.retryable) this.#pauseBroker(leader);
      for (const batch of batches) {
        if (batch.state === 'sent') batch.retry({ mayBeWritten: false, errorCode: 0 });
        if (batch.state !== 'ready') continue;
        if (error.retryable) batch.queue.failures++;
        else this.#failBatch(batch, error);
      }
    }
    for (const batch of batches) if (batch.state === 'ready') this.#expire(batch, error);
    let isRetried = false;
    let isLedElsewhere = false;
    for (const { queue, errorCode, bytes, state } of batches) {
      if (state !== 'ready') continue;
      isRetried = true;
      // A halved batch is sent without a pause.
      if (errorCode !== 0) {
        isLedElsewhere = true;
        queue.retryAtMs = this.#options.clock.monotonic() + backoffMs(queue.failures++, noJitter, retryBackoff);
      }
      this.#ready.add(queue);
      this.#readyBytes += bytes;
    }
    if (isRetried) this.#retries++;
    // Other brokers may lead the partitions: `#pump` determines the leader of each queue again.
    if (isLedElsewhere || error !== undefined) this.#client.refresh().catch(() => {});
    this.#busyBrokers.delete(leader);
    if (this.#ready.size > 0) this.#pump();
    if (this.#isIdle()) this.#onIdle?.();
  }

  /** Sends the batches and settles each. Throws if the broker does not answer. */
  async #request(leader: number, batches: readonly ProducerBatch[]): Promise<void> {
    const broker = leader < 0 ? undefined : await this.#client.broker(leader);
    const producerId = batches[0]!.producerId ?? (await this.#currentProducerId());
    const known: ProducerBatch[] = [];
    for (const batch of batches) {
      if (this.#client.knownTopic(batch.queue.topic) !== undefined) known.push(batch);
      else this.#failBatch(batch, errorFromCode(kafkaCode.unknownTopic, appendingTo([batch])));
    }
    if (known.length === 0) return;
    if (broker === undefined) throw new TailraceError('unavailable', 'the partition has no leader');
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
      for (const batch of known) batch.retry({ mayBeWritten: true, errorCode: 0 });
      throw thrown;
    } finally {
      this.#counts.produceSeconds.observe((clock.monotonic() - startMs) / 1_000);
    }
    for (const batch of known) {
      const { topic, partition } = batch.queue;
      const result = results.find((candidate) => candidate.partition === partition && candidate.topic === topic);
      this.#settle(batch, result);
    }
  }

  /** Processes the result of one batch; undefined: the response has none. */
  #settle(batch: ProducerBatch, result: ProduceResult | undefined): void {
    const { producerId } = batch;
    const code = result?.errorCode ?? kafkaCode.unknownTopic;
    if (result !== undefined && code === 0) {
      this.#advance(producerId!, batch);
      batch.acknowledge(result.firstSeq);
      this.#done(batch);
    } else if (tooLargeCodes.has(code)) {
      if (batch.records.length === 1) this.#failBatch(batch, tooLargeError(batch));
      else this.#readyBytes += batch.halve();
    } else if (lostSequenceCodes.has(code)) {
      // The broker has lost the sequence: its log was truncated, or the producer ID has expired. A new ID is needed.
      this.#retire(producerId!);
      if (batch.mayBeWritten) this.#failBatch(batch, errorFromCode(code, appendingTo([batch])));
      else batch.retryAsNew(code);
    } else if (isRetriable(code) || code === kafkaCode.unknownTopic) {
      // A temporary error, or a batch that too few replicas have written: a retry of the same batch is a duplicate
      // then. Refreshed metadata show whether the topic was deleted.
      batch.retry({ mayBeWritten: true, errorCode: code });
    } else this.#failBatch(batch, errorFromCode(code, appendingTo([batch])));
  }

  #failBatch(batch: ProducerBatch, error: TailraceError): void {
    if (batch.mayBeWritten && batch.producerId !== undefined) this.#retire(batch.producerId);
    const { call } = batch.records.at(-1)!;
    batch.fail(error);
    this.#removed(batch.queue.removeRest(call));
    this.#done(batch);
  }

  #done({ queue, bytes }: ProducerBatch): void {
    this.#pendingBytes -= bytes;
    queue.failures = 0;
    queue.retryAtMs = 0;
    if (!queue.isEmpty) this.#ready.add(queue);
    else if (this.#client.knownTopic(queue.topic) === undefined) this.#removeTopic(queue.topic);
  }

  /** Removes the queues of a deleted topic, unless records are pending: a partition must not have two queues. */
  #removeTopic(topic: string): void {
    if (this.#queues.get(topic)?.every(({ isIdle }) => isIdle)) this.#queues.delete(topic);
  }

  /** Fails a batch that is older than `appendTimeoutMs`, and the following records that are. */
  #expire(batch: ProducerBatch, cause: TailraceError | undefined): void {
    const { clock, appendTimeoutMs } = this.#options;
    const oldestMs = clock.monotonic() - appendTimeoutMs;
    if (batch.startedMs > oldestMs) return;
    const reason = cause?.message ?? lastErrorText(batch);
    const error = new TailraceError('unavailable', `not acknowledged within ${appendTimeoutMs} ms: ${reason}`, {
      cause,
    });
    // Following records that are too old are not sent at all.
    const expired = batch.queue.expire(oldestMs, error);
    this.#removed(expired);
    this.#expiredRecords += batch.records.length + expired.count;
    this.#failBatch(batch, error);
  }

  /** Counts records that are removed from a queue before they are sent. */
  #removed({ bytes }: RemovedRecords): void {
    this.#readyBytes -= bytes;
    this.#pendingBytes -= bytes;
  }

  #pauseBroker(leader: number): void {
    const failures = this.#unresponsiveBrokers.get(leader)?.failures ?? 0;
    const retryAtMs = this.#options.clock.monotonic() + backoffMs(failures, noJitter, retryBackoff);
    this.#unresponsiveBrokers.set(leader, { retryAtMs, failures: failures + 1 });
  }

  #leaderOf({ topic, partition }: PartitionQueue): number {
    return this.#client.knownTopic(topic)?.leaders[partition] ?? -1;
  }

  #advance(producerId: ProducerId, { queue, records }: ProducerBatch): void {
    const next = (producerId.sequences.get(queue.name) ?? 0) + records.length;
    producerId.sequences.set(queue.name, next);
    // Sequence numbers have 31 bits. A new ID starts at 0 long before they overflow.
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
    const broker = await this.#client.anyBroker();
    const { producerId, producerEpoch } = await broker.initProducerId({ transactionTimeout: 60_000 });
    this.#producerId = { producerId: Number(producerId), producerEpoch, sequences: new Map() };
    return this.#producerId;
  }

  /** Stops to use the producer ID for new batches. */
  #retire(producerId: ProducerId): void {
    if (this.#producerId === producerId) this.#producerId = undefined;
  }
}

function overLimit(bytes: number, waiting: string): TailraceError {
  return new TailraceError('unavailable', `cannot append ${bytes} bytes: ${waiting}; retry later`);
}

/** Returns the pending bytes of a record; 0 for one that is too large. */
function acceptableBytesOf(record: NewRecord): number {
  try {
    return pendingBytesOf(record);
  } catch {
    return 0;
  }
}

function lastErrorText(batch: ProducerBatch): string {
  const { errorCode } = batch;
  if (errorCode === 0) return 'the broker has refused it repeatedly';
  return errorFromCode(errorCode, appendingTo([batch])).message;
}

function tooLargeError({ queue, records, bytes }: ProducerBatch): TailraceError {
  const what = `the record with key ${shown(records[0]!.key)} has ${bytes} bytes`;
  const advice = 'raise max.message.bytes of the topic, or send less in one record';
  return new TailraceError('too_large', `${what}, more than topic ${shown(queue.topic)} accepts; ${advice}`);
}
