import { boundsOf, type EventLog, type LogRecord } from '@tailrace/eventlog/event-log';
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
    const bounds = await eventLog.bounds(topic, numbers);
    const positions = await eventLog.positionsAt(topic, fromMs, numbers);
    let completeFromMs = fromMs;
    for (const number of numbers) {
      const { first, next } = boundsOf(bounds, number);
      // Of a topic from which nothing was removed the first position is 0.
      if (first === 0 || first === next || positions[number]! > first) continue;
      completeFromMs = Math.max(completeFromMs, await this.#timeOf(number, first));
    }
    const from = new Map(numbers.map((number) => [number, positions[number]!]));
    return {
      epoch,
      completeFromMs,
      read: (untilMs, isWanted) => this.#read(epoch, from, untilMs, isWanted),
    };
  }

  async #timeOf(partition: number, seq: number): Promise<number> {
    for await (const [record] of this.#eventLog.read(this.#topic, partition, { from: seq, until: seq + 1 }))
      if (record !== undefined) return record.timeMs;
    return 0;
  }

  async *#read(
    epoch: string,
    from: Map<number, number>,
    untilMs: number,
    isWanted: (device: string) => boolean,
  ): AsyncGenerator<HistoryPart> {
    const eventLog = this.#eventLog;
    const topic = this.#topic;
    const stops = await eventLog.positionsAt(topic, untilMs, [...from.keys()]);
    for (const [partition, first] of from) {
      const until = stops[partition]!;
      if (until <= first) continue;
      for await (const records of eventLog.read(topic, partition, { from: first, until, background: true }))
        yield partOf(records, isWanted);
      from.set(partition, until);
    }
    const present = (await eventLog.describeTopic(topic)).epoch;
    if (present === epoch) return;
    throw new TailraceError('unavailable', `${topic}: expected the epoch ${epoch}, got ${present}: it was re-created`);
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
