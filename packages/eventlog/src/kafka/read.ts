import { shown, TailraceError } from '@tailrace/protocol/error';
import { emptyRecord, type LogRecord, type ReadRange, unreadableRecord } from '../event-log.ts';
import type { KafkaCounts } from './counts.ts';
import { kafkaCode, mayPass, refusedError } from './errors.ts';
import { type KafkaLink, sendTo } from './link.ts';
import { earliest, latest } from './metadata.ts';
import { doubtfulIn, type FetchedPartition, fetchRequest } from './requests.ts';

const readTimeoutMs = 10_000;
const fetchBytesMin = 65_536;
/** What a record is taken for when a fetch is sized for a short range. */
const recordBytesGuess = 1024;
/** Decompressed, of one answer. */
const heldBytesMax = 16 * 1_048_576;

export interface KafkaRangesLimits {
  /** Answers on their way at the same time. Others wait their turn. */
  readonly fetchesMax: number;
  /** Of one answer; one batch of records at least. */
  readonly fetchBytesMax: number;
}

/** What a node has to know before it goes on: last values, the records of partitions of which it is standby owner. */
const foregroundLimits: KafkaRangesLimits = { fetchesMax: 4, fetchBytesMax: 1_048_576 };
/** History for clients: the time to read one answer must not hold up live records. */
export const backgroundLimits: KafkaRangesLimits = { fetchesMax: 2, fetchBytesMax: 131_072 };

interface Fetching {
  readonly topic: string;
  readonly partition: number;
  readonly from: number;
  readonly until: number | undefined;
  /** That there are records up to here is certain. */
  readonly end: number;
}

/**
 * Reads ranges outside any group, by plain fetches over connections that stay open: no group, no consumer, nothing is
 * left on the broker, and the second read costs one round trip. (kafkajs offers only consumers for reading: each would
 * need a group, a join of three round trips, and an entry in the broker's list of groups that stays for days.)
 */
export class KafkaRanges {
  readonly #link: KafkaLink;
  readonly #counts: Pick<KafkaCounts, 'unreadable'>;
  readonly #limits: KafkaRangesLimits;
  #running = 0;
  #waiting: (() => void)[] = [];

  constructor(link: KafkaLink, counts: Pick<KafkaCounts, 'unreadable'>, limits: KafkaRangesLimits = foregroundLimits) {
    this.#link = link;
    this.#limits = limits;
    this.#counts = counts;
  }

  async *read(topic: string, partition: number, range: ReadRange): AsyncGenerator<readonly LogRecord[]> {
    const doing = `read partition ${partition} of topic ${shown(topic)}`;
    const { leaders } = await this.#link.topic(topic, readTimeoutMs);
    if (leaders[partition] === undefined) {
      const has = `topic ${shown(topic)} has partitions 0 to ${leaders.length - 1}`;
      throw new TailraceError('not_found', `${has}, not ${shown(partition)}`);
    }
    let from = Math.max(0, range.from);
    let until = range.until;
    let doubtfulSeq = -1;
    // The end at the time of the first answer; 0 before that.
    let end = 0;
    while (until === undefined || from < until) {
      const fetched = await this.#fetch({ topic, partition, from, until, end }, doing);
      const part = doubtfulIn(fetched, doubtfulSeq) ?? fetched;
      if (part !== fetched) doubtfulSeq = part.next;
      if (part.errorCode === kafkaCode.offsetOutOfRange) {
        const first = (await this.#link.offsets(topic, earliest, readTimeoutMs, [partition]))[partition] ?? 0;
        // Beyond the end, or deleted while it was being read.
        if (from >= first) return;
        from = first;
        continue;
      }
      if (end === 0) {
        // A leader that has just become one takes for the end what it knew as a follower, which may lie before what was
        // acknowledged. Asked for its end, it answers when it is sure (KIP-207).
        const isSure = until !== undefined && until <= part.end;
        end = isSure ? until! : ((await this.#link.offsets(topic, latest, readTimeoutMs, [partition]))[partition] ?? 0);
        end = Math.min(until ?? end, end);
        until = end;
      }
      const records = part.next <= end ? part.records : before(part.records, end);
      if (part.unreadable > 0) this.#countUnreadable(records);
      if (records.length > 0) yield records;
      if (part.next === from && from < end && part === fetched) throw refusedError(kafkaCode.offsetOutOfRange, doing);
      from = part.next;
    }
  }

  async #fetch({ topic, partition, from, until, end }: Fetching, doing: string): Promise<FetchedPartition> {
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
    await this.#turn();
    try {
      return await this.#link.retry(doing, readTimeoutMs, async () => {
        const { leaders } = await this.#link.topic(topic, readTimeoutMs);
        const broker = await this.#link.broker(leaders[partition] ?? -1);
        const part = (await sendTo(broker, request)).partitions[0];
        const code = part?.errorCode ?? kafkaCode.unknownTopic;
        if (code === 0 && part?.next === from && part.end < end)
          throw new TailraceError(
            'unavailable',
            `cannot ${doing}: its leader does not know all that is acknowledged yet`,
          );
        if (part !== undefined && (code === 0 || code === kafkaCode.offsetOutOfRange)) return part;
        // Led by another broker, or gone: new metadata show which.
        await this.#link.lookUp(topic, 0);
        throw mayPass(code) || code === kafkaCode.unknownTopic
          ? new TailraceError('unavailable', refusedError(code, doing).message)
          : refusedError(code, doing);
      });
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }

  async #turn(): Promise<void> {
    while (this.#running >= this.#limits.fetchesMax) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running++;
  }

  #countUnreadable(records: readonly LogRecord[]): void {
    for (const { unreadable } of records)
      if (unreadable !== undefined) this.#counts.unreadable[unreadable.reason].add();
  }
}

/** Those before a position; what cannot be read may start before it and end behind it. */
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
