/** The two requests of the hot path, Produce and Fetch (https://kafka.apache.org/protocol.html#protocol_messages). */
import type { LogRecord, UnreadableRange } from '../event-log.ts';
import { KafkaReader, KafkaWriter } from './bytes.ts';
import type { KafkaCodec } from './codecs.ts';
import { batchOverheadBytes, type OutRecord, readRecords, writeBatch } from './records.ts';
import { fetchApiKey, produceApiKey, type WireAnswer, type WireRequest } from './wire.ts';

export interface ProduceBatch {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly OutRecord[];
  readonly firstSequence: number;
  /** Of the records, an upper bound, so that the body is laid out at once. */
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

/**
 * Version 7, the last but one that names every length plainly; the first that knows zstd. At most one batch a
 * partition.
 */
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
  /** How long the broker holds the answer back while there are fewer than `minBytes`. */
  readonly maxWaitMs: number;
  readonly maxBytes: number;
  readonly partitionBytesMax: number;
  /** Decompressed, of all partitions together: what comes beyond it is left out of the answer, to be fetched again. */
  readonly heldBytesMax: number;
}

export interface FetchedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  /** Where it was asked to start. */
  readonly from: number;
  /** The end of what is durable: the position that the next record gets. */
  readonly end: number;
  /** First position kept; -1 with an error. */
  readonly first: number;
  readonly records: LogRecord[];
  /** Where to read on. */
  readonly next: number;
  /** Of the records as they came. */
  readonly bytes: number;
  /** Of the records in memory: decompressed. */
  readonly heldBytes: number;
  /** How many of the records stand for what cannot be read. */
  readonly unreadable: number;
}

export interface FetchAnswer extends WireAnswer {
  readonly errorCode: number;
  readonly partitions: readonly FetchedPartition[];
}

/** kafkajs gives an answer this long beyond the wait that the broker was allowed. */
const answerGraceMs = 5000;

/**
 * Version 10. Reads what is durable, also of transactions that their producer gave up (none of ours uses any). The
 * broker fills the answer in the order given, so a caller rotates it.
 *
 * From version 11 on a follower answers as well (KIP-392), and what it takes for the end lags behind what was
 * acknowledged: a read by what was known of the leaders before a broker came back would end too early. Up to 10 it
 * answers that it does not lead.
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
            out.int32(-1); // whatever the leader's epoch
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

function readFetchAnswer(body: KafkaReader, asked: readonly FetchFrom[], heldBytesMax: number): FetchAnswer {
  const clientSideThrottleTime = body.int32();
  const errorCode = body.int16();
  body.skip(4); // session
  const partitions: FetchedPartition[] = [];
  const fromOf = finderOf(asked);
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

/**
 * Where a partition was asked from. The broker answers nearly in the order asked: searches on from where it found the
 * last.
 */
function finderOf(asked: readonly FetchFrom[]): (topic: string, partition: number) => number {
  let at = 0;
  return (topic, partition) => {
    for (let tried = 0; tried < asked.length; tried++) {
      const one = asked[at]!;
      at = at + 1 < asked.length ? at + 1 : 0;
      if (one.partition === partition && one.topic === topic) return one.from;
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
 * What was fetched up to the first batch that cannot be read for a reason that may pass, unless that one lies at
 * `known`: it is fetched once more, from `next` of what this returns, before it counts as unreadable. Undefined where
 * there is none. What may pass: the bytes may have changed on the way, and the end that an answer gives may lie before
 * its last batch, because the broker notes the end first and then reads up to where it is by then.
 */
export function doubtfulIn(part: FetchedPartition, known: number): FetchedPartition | undefined {
  if (part.unreadable === 0) return undefined;
  const at = part.records.findIndex(({ seq, unreadable }) => seq !== known && mayPassIn(unreadable));
  const doubtful = part.records[at];
  if (doubtful === undefined) return undefined;
  const records = part.records.slice(0, at);
  return { ...part, records, next: doubtful.seq, unreadable: records.filter((record) => record.unreadable).length };
}

function mayPassIn(unreadable: UnreadableRange | undefined): boolean {
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
