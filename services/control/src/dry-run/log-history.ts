import { boundsOf, type EventLog, type LogRecord, recordEnd } from '@tailrace/eventlog/event-log';
import { TailraceError } from '@tailrace/protocol/error';
import { partitionOf } from '@tailrace/protocol/partition';
import { isDevicePath } from '@tailrace/protocol/path';
import { decodeReport } from '@tailrace/protocol/report-proto';
import type { HistoryPart, HistoryPass, HistoryScope, PositionedReport, ReportHistory } from './report-history.ts';

type ReadableLog = Pick<EventLog, 'describeTopic' | 'bounds' | 'positionsAt' | 'read'>;

/** The reports that the telemetry topic retains. They are read in the background, behind live readers of the log. */
export class LogHistory implements ReportHistory {
  readonly #eventLog: ReadableLog;
  readonly #topic: string;

  constructor(eventLog: ReadableLog, topic: string) {
    this.#eventLog = eventLog;
    this.#topic = topic;
  }

  /** Rejects with `not_found` before ingest has created the topic, too. */
  async open({ patterns, fromMs }: HistoryScope): Promise<HistoryPass> {
    const eventLog = this.#eventLog;
    const topic = this.#topic;
    const { epoch, partitions } = await eventLog.describeTopic(topic);
    const numbers = partitionsOf(patterns, partitions);
    // What the log removes after the first of both is noticed.
    const positions = await eventLog.positionsAt(topic, fromMs, numbers);
    const bounds = await eventLog.bounds(topic, numbers);
    const pass = new LogPass(eventLog, { topic, epoch, fromMs });
    for (const number of numbers) {
      const { first, next } = boundsOf(bounds, number);
      pass.positions.set(number, positions[number]!);
      // Of a topic from which nothing was removed the first position is 0.
      if (first === 0 || positions[number]! > first) continue;
      await pass.lackBefore(number, first === next ? undefined : first);
    }
    return pass;
  }
}

class LogPass implements HistoryPass {
  readonly epoch: string;
  /** Of the next record, by partition. */
  readonly positions = new Map<number, number>();
  readonly #eventLog: ReadableLog;
  readonly #topic: string;
  #completeFromMs: number;

  constructor(eventLog: ReadableLog, { topic, epoch, fromMs }: { topic: string; epoch: string; fromMs: number }) {
    this.epoch = epoch;
    this.#eventLog = eventLog;
    this.#topic = topic;
    this.#completeFromMs = fromMs;
  }

  get completeFromMs(): number {
    return this.#completeFromMs;
  }

  /** Notes that the reports of a partition before a position were removed; undefined: all of them. */
  async lackBefore(partition: number, seq: number | undefined): Promise<void> {
    // When the last one of all was appended is not known.
    let timeMs = Number.POSITIVE_INFINITY;
    if (seq !== undefined) {
      // The record at this position may be removed, too: then it is the first one after it.
      for await (const [record] of this.#eventLog.read(this.#topic, partition, { from: seq, background: true })) {
        timeMs = record!.timeMs || timeMs;
        break;
      }
    }
    this.#completeFromMs = Math.max(this.#completeFromMs, timeMs);
  }

  async *read(untilMs: number, isWanted: (device: string) => boolean): AsyncGenerator<HistoryPart> {
    const eventLog = this.#eventLog;
    const topic = this.#topic;
    const stops = await eventLog.positionsAt(topic, untilMs, [...this.positions.keys()]);
    for (const [partition, from] of this.positions) {
      const until = stops[partition]!;
      let next = from;
      if (until <= next) continue;
      for await (const records of eventLog.read(topic, partition, { from, until, background: true })) {
        // The log has removed those before it since the pass was opened.
        if (records[0]!.seq > next) await this.lackBefore(partition, records[0]!.seq);
        next = recordEnd(records.at(-1)!);
        yield partOf(records, isWanted);
      }
      if (next < until) await this.lackBefore(partition, until);
      this.positions.set(partition, until);
    }
    const present = (await eventLog.describeTopic(topic)).epoch;
    if (present === this.epoch) return;
    throw new TailraceError(
      'unavailable',
      `${topic}: expected the epoch ${this.epoch}, got ${present}: it was re-created`,
    );
  }
}

/** Returns the partitions of devices: of patterns, all of them. */
function partitionsOf(patterns: readonly string[], partitions: number): readonly number[] {
  if (!patterns.every(isDevicePath)) return Array.from({ length: partitions }, (_, number) => number);
  return [...new Set(patterns.map((path) => partitionOf(path, partitions)))].sort((a, b) => a - b);
}

function partOf(records: readonly LogRecord[], isWanted: (device: string) => boolean): HistoryPart {
  const reports: PositionedReport[] = [];
  let rejected = 0;
  for (const { seq, key, value, unreadable, emptyUntil } of records) {
    if (emptyUntil !== undefined) continue;
    if (unreadable !== undefined) {
      rejected++;
      continue;
    }
    if (!isWanted(key)) continue;
    try {
      const report = decodeReport(value);
      if (report.device === key) reports.push({ seq, report });
      else rejected++;
    } catch {
      rejected++;
    }
  }
  return { records: records.length, rejected, reports };
}
