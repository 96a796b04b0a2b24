import type { Clock } from '@tailrace/platform/clock';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { KafkaCodec } from './codecs.ts';
import type { KafkaCounts } from './counts.ts';
import { kafkaCode, mayPass, refusedError } from './errors.ts';
import { appendingTo, type Flight, halve, type Identity, type Lane } from './lanes.ts';
import type { KafkaLink } from './link.ts';
import { type ProduceResult, produceRequest } from './requests.ts';
import { type KafkaBroker, sendTo } from './wire.ts';

export interface KafkaSenderOptions {
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly counts: KafkaCounts;
  readonly codec: KafkaCodec;
  /** How long the broker may wait for its replicas within one request. */
  readonly acknowledgeTimeoutMs: number;
  /** The flight is over, well or not. */
  onDone(flight: Flight): void;
  /** So many bytes of the lane wait again. */
  onReturned(bytes: number): void;
}

const tooLargeCodes: ReadonlySet<number> = new Set([kafkaCode.messageTooLarge, kafkaCode.recordListTooLarge]);
const lostCountCodes: ReadonlySet<number> = new Set([
  kafkaCode.unknownProducer,
  kafkaCode.outOfOrderSequence,
  kafkaCode.invalidProducerEpoch,
]);
const sequenceMax = 0x7fff_ffff;

/**
 * Sends batches under a producer's ID (KIP-98). Each carries, per partition, the sequence number of its first record: a batch whose
 * answer was lost goes again as it was, and the broker answers with the position it has had since the first time.
 *
 * kafkajs's own idempotent producer is not used: after it gives up on a batch it takes the batch's sequence numbers for the next
 * one, which the broker then takes for a repetition and throws away, acknowledged. Here, an ID is never used for anything new once one of
 * its batches was given up with its fate unknown.
 */
export class KafkaSender {
  readonly #link: KafkaLink;
  readonly #options: KafkaSenderOptions;
  /** Since the start: requests sent, batches given up. */
  requests = 0;
  givenUp = 0;
  #identity: Identity | undefined;
  #newIdentity: Promise<Identity> | undefined;

  constructor(link: KafkaLink, options: KafkaSenderOptions) {
    this.#link = link;
    this.#options = options;
  }

  /** One request. Answers with the flights that have to go again. Throws when there was no answer at all. */
  async attempt(leader: number, flights: readonly Flight[]): Promise<readonly Flight[]> {
    const broker = leader < 0 ? undefined : await this.#link.broker(leader);
    const identity = flights[0]!.identity ?? (await this.#currentIdentity());
    const again: Flight[] = [];
    const going: Flight[] = [];
    for (const flight of flights) {
      if (this.#link.knownTopic(flight.lane.topic) === undefined) {
        this.giveUp(flight, refusedError(kafkaCode.unknownTopic, appendingTo([flight])));
      } else if (flight.identity === flights[0]!.identity) going.push(flight);
      else again.push(flight);
    }
    if (going.length === 0) return again;
    if (broker === undefined) throw new TailraceError('unavailable', 'the partition has no leader at present');
    for (const flight of going) flight.identity = identity;
    for (const [n, result] of (await this.#request(broker, identity, going)).entries()) {
      if (!this.#settle(going[n]!, result)) again.push(going[n]!);
    }
    return again;
  }

  /** What the broker says of each flight, in their order; undefined where it says nothing. */
  async #request(
    broker: KafkaBroker,
    identity: Identity,
    flights: readonly Flight[],
  ): Promise<(ProduceResult | undefined)[]> {
    const batches = flights.map(({ lane, records, bytes }) => ({
      topic: lane.topic,
      partition: lane.partition,
      records,
      bytes,
      firstSequence: identity.sequences.get(lane.name) ?? 0,
    }));
    const { codec, clock, counts, acknowledgeTimeoutMs: timeoutMs } = this.#options;
    this.requests++;
    const startMs = clock.monotonic();
    try {
      const { producerId, producerEpoch } = identity;
      const request = produceRequest(batches, { producerId, producerEpoch, codec, timeoutMs });
      const { results, clientSideThrottleTime } = await sendTo(broker, request);
      counts.throttleMs += clientSideThrottleTime;
      return flights.map(({ lane }) =>
        results.find((one) => one.partition === lane.partition && one.topic === lane.topic),
      );
    } catch (thrown) {
      for (const flight of flights) flight.uncertain = true;
      throw thrown;
    } finally {
      counts.produceSeconds.observe((clock.monotonic() - startMs) / 1_000);
    }
  }

  /** Acts on the answer for one batch. False: it has to go again. */
  #settle(flight: Flight, result: ProduceResult | undefined): boolean {
    const { lane, identity } = flight;
    const code = result?.errorCode ?? kafkaCode.unknownTopic;
    if (result !== undefined && code === 0) {
      this.#advance(identity!, lane, flight.records.length);
      this.#acknowledge(flight, result.firstSeq);
      return true;
    }
    flight.putOffBy = 0;
    if (tooLargeCodes.has(code)) {
      if (flight.records.length === 1) {
        this.giveUp(flight, tooLargeError(flight));
        return true;
      }
      this.#options.onReturned(halve(flight));
      return false;
    }
    if (lostCountCodes.has(code)) {
      // The broker has lost count (its log was cut back, or the ID expired). Under a new ID the batch counts as a new one.
      this.#retire(identity!);
      if (!flight.uncertain) {
        flight.identity = undefined;
        flight.putOffBy = code;
        return false;
      }
    } else if (mayPass(code) || code === kafkaCode.unknownTopic) {
      // Refused for the moment; or written here, but on too few replicas: the same batch again finds itself there.
      // That a topic is gone shows when it is looked up again.
      flight.uncertain = true;
      flight.putOffBy = code;
      return false;
    }
    this.giveUp(flight, refusedError(code, appendingTo([flight])));
    return true;
  }

  #acknowledge(flight: Flight, firstSeq: number): void {
    const { lane, records } = flight;
    const { partition } = lane;
    for (let n = 0; n < records.length; n++) {
      const { call, index } = records[n]!;
      call.positions[index] = { partition, seq: firstSeq + n };
      if (--call.left === 0) call.resolve(call.positions);
    }
    this.#options.onDone(flight);
  }

  giveUp(flight: Flight, error: TailraceError): void {
    this.givenUp++;
    if (flight.uncertain && flight.identity !== undefined) this.#retire(flight.identity);
    for (const { call } of flight.records) call.reject(error);
    this.#options.onDone(flight);
  }

  #advance(identity: Identity, lane: Lane, count: number): void {
    const next = (identity.sequences.get(lane.name) ?? 0) + count;
    identity.sequences.set(lane.name, next);
    // Sequence numbers have 31 bits; long before they end, another ID begins at 0.
    if (next > sequenceMax / 2) this.#retire(identity);
  }

  async #currentIdentity(): Promise<Identity> {
    if (this.#identity !== undefined) return this.#identity;
    this.#newIdentity ??= this.#askIdentity().finally(() => {
      this.#newIdentity = undefined;
    });
    return await this.#newIdentity;
  }

  async #askIdentity(): Promise<Identity> {
    const broker = await this.#link.anyBroker();
    const { producerId, producerEpoch } = await broker.initProducerId({ transactionTimeout: 60_000 });
    this.#identity = { producerId: Number(producerId), producerEpoch, sequences: new Map() };
    return this.#identity;
  }

  /** Batches that have not gone yet get another. */
  #retire(identity: Identity): void {
    if (this.#identity === identity) this.#identity = undefined;
  }
}

function tooLargeError({ lane, records, bytes }: Flight): TailraceError {
  const what = `the record with key ${shown(records[0]!.key)} has ${bytes} bytes`;
  const right = 'raise max.message.bytes of the topic, or send less in one record';
  return new TailraceError('too_large', `${what}, more than topic ${shown(lane.topic)} takes; ${right}`);
}
