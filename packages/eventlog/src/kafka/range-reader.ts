import { shown, TailraceError } from '@tailrace/protocol/error';
import { emptyRecord, type LogRecord, type ReadRange, unreadableRecord } from '../event-log.ts';
import { type KafkaClient, sendTo } from './client.ts';
import type { KafkaCounts } from './counts.ts';
import { errorFromCode, isRetriable, kafkaCode } from './errors.ts';
import { earliest, latest } from './metadata.ts';
import { doubtfulIn, type FetchedPartition, fetchRequest } from './requests.ts';

const readTimeoutMs = 10_000;
const fetchBytesMin = 65_536;
/** Estimated size of a record, for the fetch of a short range. */
const recordBytesGuess = 1024;
/** Most decompressed bytes of one response. */
const heldBytesMax = 16 * 1_048_576;

export interface RangeReaderLimits {
  /** Most concurrent fetches. Others wait. */
  readonly fetchesMax: number;
  /** Most bytes of one response, but at least one batch of records. */
  readonly fetchBytesMax: number;
}

/** For reads that a node waits for: last values, and the records of partitions of which it is standby owner. */
const foregroundLimits: RangeReaderLimits = { fetchesMax: 4, fetchBytesMax: 1_048_576 };
/** For history that clients request: processing a response must not delay live records. */
export const backgroundLimits: RangeReaderLimits = { fetchesMax: 2, fetchBytesMax: 131_072 };

interface RangeFetch {
  readonly topic: string;
  readonly partition: number;
  readonly from: number;
  readonly until: number | undefined;
  /** The partition has records up to this position. */
  readonly end: number;
}

/**
 * Reads ranges by fetches without a consumer group, over connections that stay open: nothing remains on the broker, and
 * the second read costs one round trip. (kafkajs reads with consumers only: each needs a group, a join of three round
 * trips, and a group entry on the broker that stays for days.)
 */
export class KafkaRangeReader {
  readonly #client: KafkaClient;
  readonly #counts: Pick<KafkaCounts, 'unreadable'>;
  readonly #limits: RangeReaderLimits;
  #running = 0;
  #waiting: (() => void)[] = [];

  constructor(
    client: KafkaClient,
    counts: Pick<KafkaCounts, 'unreadable'>,
    limits: RangeReaderLimits = foregroundLimits,
  ) {
    this.#client = client;
    this.#limits = limits;
    this.#counts = counts;
  }

  async *read(topic: string, partition: number, range: ReadRange): AsyncGenerator<readonly LogRecord[]> {
    const operation = `read partition ${partition} of topic ${shown(topic)}`;
    const { leaders } = await this.#client.topic(topic, readTimeoutMs);
    if (leaders[partition] === undefined) {
      const expected = `expected partition 0 to ${leaders.length - 1}`;
      throw new TailraceError('not_found', `topic ${shown(topic)}: ${expected}, got ${shown(partition)}`);
    }
    let from = Math.max(0, range.from);
    let until = range.until;
    let doubtfulSeq = -1;
    // The end at the time of the first response; 0 before it.
    let end = 0;
    while (until === undefined || from < until) {
      const fetched = await this.#fetch({ topic, partition, from, until, end }, operation);
      const part = doubtfulIn(fetched, doubtfulSeq) ?? fetched;
      if (part !== fetched) doubtfulSeq = part.next;
      if (part.errorCode === kafkaCode.offsetOutOfRange) {
        const first = (await this.#client.offsets(topic, earliest, readTimeoutMs, [partition]))[partition] ?? 0;
        if (from < first) {
          from = first;
          continue;
        }
        const next = (await this.#client.offsets(topic, latest, readTimeoutMs, [partition]))[partition] ?? 0;
        if (from >= Math.max(end, next)) return;
        // The leader has fewer records than were acknowledged, or another one has answered in its place.
        const message = `cannot ${operation}: position ${from} is out of range, expected ${first} to ${Math.max(end, next)}`;
        throw new TailraceError('unavailable', message);
      }
      if (end === 0) {
        // A new leader reports the high watermark that it had as a follower, which may be before acknowledged records.
        // ListOffsets answers only when the leader is certain (KIP-207).
        const isCertain = until !== undefined && until <= part.end;
        end = isCertain
          ? until!
          : ((await this.#client.offsets(topic, latest, readTimeoutMs, [partition]))[partition] ?? 0);
        end = Math.min(until ?? end, end);
        until = end;
      }
      const records = part.next <= end ? part.records : before(part.records, end);
      if (part.unreadable > 0) this.#countUnreadable(records);
      if (records.length > 0) yield records;
      // `end` may be later than the response: records were appended meanwhile, and the next fetch has them.
      if (part.next === from && from < Math.min(end, part.end) && part === fetched)
        throw errorFromCode(kafkaCode.offsetOutOfRange, operation);
      from = part.next;
    }
  }

  async #fetch({ topic, partition, from, until, end }: RangeFetch, operation: string): Promise<FetchedPartition> {
    const { fetchBytesMax } = this.#limits;
    const guess = until === undefined ? fetchBytesMax : (until - from) * recordBytesGuess;
    const maxBytes = Math.min(fetchBytesMax, Math.max(fetchBytesMin, guess));
    const request = fetchRequest([{ topic, partition, from }], {
      minBytes: 1,
      maxWaitMs: 0,
      maxBytes,
      partitionBytesMax: maxBytes,
      heldBytesMax,
    });
    await this.#acquire();
    try {
      return await this.#client.retry(operation, readTimeoutMs, async () => {
        const { leaders } = await this.#client.topic(topic, readTimeoutMs);
        const broker = await this.#client.broker(leaders[partition] ?? -1);
        const part = (await sendTo(broker, request)).partitions[0];
        const code = part?.errorCode ?? kafkaCode.unknownTopic;
        if (code === 0 && part?.next === from && part.end < end)
          throw new TailraceError(
            'unavailable',
            `cannot ${operation}: its leader does not know all acknowledged records yet`,
          );
        if (part !== undefined && (code === 0 || code === kafkaCode.offsetOutOfRange)) return part;
        // Another broker leads it, or it was deleted: refreshed metadata show which.
        await this.#client.lookUp(topic, 0);
        throw isRetriable(code) || code === kafkaCode.unknownTopic
          ? new TailraceError('unavailable', errorFromCode(code, operation).message)
          : errorFromCode(code, operation);
      });
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }

  async #acquire(): Promise<void> {
    while (this.#running >= this.#limits.fetchesMax) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running++;
  }

  #countUnreadable(records: readonly LogRecord[]): void {
    for (const { unreadable } of records)
      if (unreadable !== undefined) this.#counts.unreadable[unreadable.reason].add();
  }
}

/** Returns the records before a position. A range that cannot be read is shortened to it. */
function before(records: readonly LogRecord[], end: number): LogRecord[] {
  return records
    .filter(({ seq }) => seq < end)
    .map((record) => {
      const { seq, unreadable, emptyUntil = 0 } = record;
      if (emptyUntil > end) return emptyRecord(seq, end);
      if (unreadable === undefined || unreadable.until <= end) return record;
      return unreadableRecord(seq, { ...unreadable, until: end });
    });
}
