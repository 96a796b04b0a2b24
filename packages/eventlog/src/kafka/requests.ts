/** The requests of the hot path: Produce and Fetch (https://kafka.apache.org/protocol.html#protocol_messages). */
import type { LogRecord, UnreadableRange } from '../event-log.ts';
import { KafkaReader, KafkaWriter } from './bytes.ts';
import type { KafkaCodec } from './codecs.ts';
import { batchOverheadBytes, type ProducerRecord, readRecords, writeBatch } from './records.ts';
import { fetchApiKey, produceApiKey, type WireAnswer, type WireRequest } from './wire.ts';

export interface ProduceBatch {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly ProducerRecord[];
  readonly firstSequence: number;
  /** Upper bound of the size of the records, so that the body is allocated once. */
  readonly bytes: number;
}

export interface ProduceOptions {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly codec: KafkaCodec;
  /** How long the broker may wait for its replicas. */
  readonly timeoutMs: number;
}

export interface ProduceResult {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  readonly firstSeq: number;
}

export interface ProduceAnswer extends WireAnswer {
  readonly results: readonly ProduceResult[];
}

/** Returns a Produce request, version 7: the first one with zstd, and not flexible. At most one batch per partition. */
export function produceRequest(batches: readonly ProduceBatch[], options: ProduceOptions): WireRequest<ProduceAnswer> {
  return {
    request: {
      apiKey: produceApiKey,
      apiVersion: 7,
      apiName: 'Produce',
      async encode() {
        let bytes = 64;
        for (const batch of batches) bytes += batch.bytes + batchOverheadBytes + batch.topic.length + 16;
        const out = new KafkaWriter(bytes);
        out.int16(-1); // no transaction
        out.int16(-1); // acks=all
        out.int32(options.timeoutMs);
        const topics = groupByTopic(batches);
        out.int32(topics.length);
        for (const [topic, ofTopic] of topics) {
          out.string(topic);
          out.int32(ofTopic.length);
          for (const batch of ofTopic) {
            out.int32(batch.partition);
            const lengthAt = out.at;
            out.int32(0);
            await writeBatch(out, batch.records, { ...options, firstSequence: batch.firstSequence }, options.codec);
            out.buf.writeInt32BE(out.at - lengthAt - 4, lengthAt);
          }
        }
        return out;
      },
    },
    response: { decode: async (body) => readProduceAnswer(new KafkaReader(body)), parse: async (answer) => answer },
    requestTimeout: options.timeoutMs,
  };
}

function readProduceAnswer(body: KafkaReader): ProduceAnswer {
  const results: ProduceResult[] = [];
  for (let topics = body.int32(); topics > 0; topics--) {
    const topic = body.string();
    for (let partitions = body.int32(); partitions > 0; partitions--) {
      const partition = body.int32();
      const errorCode = body.int16();
      results.push({ topic, partition, errorCode, firstSeq: body.int64() });
      body.skip(16); // log append time, log start offset
    }
  }
  return { results, clientSideThrottleTime: body.int32() };
}

export interface FetchFrom {
  readonly topic: string;
  readonly partition: number;
  readonly from: number;
}

export interface FetchOptions {
  readonly minBytes: number;
  /** How long the broker waits for `minBytes`. */
  readonly maxWaitMs: number;
  readonly maxBytes: number;
  readonly partitionBytesMax: number;
  /** Most decompressed bytes of all partitions: further batches are left out, and fetched again. */
  readonly heldBytesMax: number;
}

export interface FetchedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  /** The requested position. */
  readonly from: number;
  /** The high watermark: the next position. */
  readonly end: number;
  /** First retained position; -1 with an error. */
  readonly first: number;
  readonly records: LogRecord[];
  /** Position of the next fetch. */
  readonly next: number;
  /** Size of the records as received. */
  readonly bytes: number;
  /** Decompressed size of the records. */
  readonly heldBytes: number;
  /** Number of `unreadable` records. */
  readonly unreadable: number;
}

export interface FetchAnswer extends WireAnswer {
  readonly errorCode: number;
  readonly partitions: readonly FetchedPartition[];
}

/** Request timeout of kafkajs beyond the wait of the broker. */
const answerGraceMs = 5000;

/**
 * Returns a Fetch request, version 10. Reads durable records, also of aborted transactions (no producer here uses any).
 * The broker fills the response in the order of the request, so callers rotate it.
 *
 * From version 11 on a follower answers as well (KIP-392), whose high watermark is behind acknowledged records: with
 * outdated metadata a read would stop too early. Up to version 10 it answers that it is not the leader.
 */
export function fetchRequest(partitions: readonly FetchFrom[], options: FetchOptions): WireRequest<FetchAnswer> {
  return {
    request: {
      apiKey: fetchApiKey,
      apiVersion: 10,
      apiName: 'Fetch',
      async encode() {
        const out = new KafkaWriter(64 + partitions.length * 40);
        out.int32(-1); // a client, not a replica
        out.int32(options.maxWaitMs);
        out.int32(options.minBytes);
        out.int32(options.maxBytes);
        out.int8(0); // read uncommitted
        out.int32(0); // no fetch session
        out.int32(-1);
        const topics = groupByTopic(partitions);
        out.int32(topics.length);
        for (const [topic, ofTopic] of topics) {
          out.string(topic);
          out.int32(ofTopic.length);
          for (const { partition, from } of ofTopic) {
            out.int32(partition);
            out.int32(-1); // any leader epoch
            out.int64(from);
            out.int64(-1);
            out.int32(options.partitionBytesMax);
          }
        }
        out.int32(0); // forgotten topics
        return out;
      },
    },
    response: {
      decode: async (body) => readFetchAnswer(new KafkaReader(body), partitions, options.heldBytesMax),
      parse: async (answer) => answer,
    },
    requestTimeout: options.maxWaitMs + answerGraceMs,
  };
}

function readFetchAnswer(body: KafkaReader, requested: readonly FetchFrom[], heldBytesMax: number): FetchAnswer {
  const clientSideThrottleTime = body.int32();
  const errorCode = body.int16();
  body.skip(4); // session
  const partitions: FetchedPartition[] = [];
  const fromOf = finderOf(requested);
  let bytesLeft = heldBytesMax;
  for (let topics = body.int32(); topics > 0; topics--) {
    const topic = body.string();
    for (let left = body.int32(); left > 0; left--) {
      const partition = readFetchedPartition(body, topic, fromOf, bytesLeft);
      bytesLeft -= partition.heldBytes;
      partitions.push(partition);
    }
  }
  return { clientSideThrottleTime, errorCode, partitions };
}

/** Returns a function for the requested position of a partition, which expects nearly the order of the request. */
function finderOf(requested: readonly FetchFrom[]): (topic: string, partition: number) => number {
  let at = 0;
  return (topic, partition) => {
    for (let tried = 0; tried < requested.length; tried++) {
      const candidate = requested[at]!;
      at = at + 1 < requested.length ? at + 1 : 0;
      if (candidate.partition === partition && candidate.topic === topic) return candidate.from;
    }
    return 0;
  };
}

function readFetchedPartition(
  body: KafkaReader,
  topic: string,
  fromOf: (topic: string, partition: number) => number,
  bytesMax: number,
): FetchedPartition {
  const partition = body.int32();
  const errorCode = body.int16();
  const end = body.int64();
  body.skip(8); // last stable offset
  const first = body.int64();
  for (let aborted = body.int32(); aborted > 0; aborted--) body.skip(16);
  const bytes = body.int32();
  const from = fromOf(topic, partition);
  const head = { topic, partition, errorCode, from, end, first };
  if (bytes <= 0) return { ...head, records: [], next: from, bytes: 0, heldBytes: 0, unreadable: 0 };
  const { records, next = from, bytes: heldBytes, unreadable } = readRecords(body.view(bytes), from, { end, bytesMax });
  return { ...head, records, next: Math.max(from, next), bytes, heldBytes, unreadable };
}

/**
 * Returns the records before the first batch with an error that may be transient, unless that one is at `known`: it is
 * fetched once more, from `next` of the result, before it counts as unreadable. Undefined without such a batch.
 * Transient: bytes may have changed in transit, and the end in a response may be before its last batch, because the
 * broker reads the end first, and then the records up to a later end.
 */
export function doubtfulIn(part: FetchedPartition, known: number): FetchedPartition | undefined {
  if (part.unreadable === 0) return undefined;
  const at = part.records.findIndex(({ seq, unreadable }) => seq !== known && isTransient(unreadable));
  const doubtful = part.records[at];
  if (doubtful === undefined) return undefined;
  const records = part.records.slice(0, at);
  return { ...part, records, next: doubtful.seq, unreadable: records.filter((record) => record.unreadable).length };
}

function isTransient(unreadable: UnreadableRange | undefined): boolean {
  return unreadable?.reason === 'checksum' || unreadable?.reason === 'malformed';
}

function groupByTopic<P extends { readonly topic: string }>(list: readonly P[]): [string, P[]][] {
  const topics: [string, P[]][] = [];
  for (const one of list) {
    const known = topics.find(([topic]) => topic === one.topic);
    if (known === undefined) topics.push([one.topic, [one]]);
    else known[1].push(one);
  }
  return topics;
}
