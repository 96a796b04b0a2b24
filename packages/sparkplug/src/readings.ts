import { shown } from '@tailrace/protocol/error';
import { type Quality, type Reading, reportLimits } from '@tailrace/protocol/report';
import { isSourceTime } from '@tailrace/protocol/source-time';
import { isPlainText } from '@tailrace/protocol/text';
import type { SparkplugCounts } from './counts.ts';
import { dataTypes } from './data-type.ts';
import { dataTypeOfField, isReadable, type MetricProblem, metricValue, UnreadableMetric, zeroOf } from './metric.ts';
import {
  birthDataType,
  definitionOf,
  isControl,
  keepLast,
  type MetricDefinition,
  type MetricTable,
} from './metric-table.ts';
import type { Metric, Payload } from './payload.ts';
import { propertiesOf } from './properties.ts';

/** Readings of a node or device for one report. */
export interface ReadingBatch {
  /** ID of the device; undefined: of the node itself. */
  readonly device: string | undefined;
  /** Epoch ms by the node's clock; 0: the message has no valid time. */
  readonly time: number;
  /** The values are not current ones (`is_historical`). */
  readonly isHistorical: boolean;
  /** 1 to 1,000. */
  readonly readings: readonly Reading[];
  /** Sequence number of the message; undefined without one. */
  readonly seq: number | undefined;
  /** Index of this batch among those of the message. */
  readonly part: number;
  /** The payload of the message. Copy it to keep it. */
  readonly payload: Uint8Array;
  /** Of the message. */
  readonly traceparent?: string;
}

/** Metrics of a message that made no readings, for one reason. */
export interface Problem {
  readonly reason: MetricProblem;
  /** Describes the first one. */
  readonly message: string;
  readonly count: number;
}

/** How to read a message. */
export interface ReadOptions {
  readonly device: string | undefined;
  readonly seq: number | undefined;
  /** The bytes that were decoded. */
  readonly payload: Uint8Array;
  readonly traceparent?: string | undefined;
  readonly isBirth: boolean;
  /** Skips metrics that are not newer than the last known value. */
  readonly newerOnly: boolean;
  /** Whether the aliases of the message are those of the table. */
  readonly hasAliases: boolean;
  readonly counts: SparkplugCounts;
  readonly sink: BatchSink;
}

export interface BatchSink {
  readings(batch: ReadingBatch): void;
}

const noProblems: readonly Problem[] = [];

/** Bytes of the readings of a batch, so that a report stays below `reportLimits.encodedBytesMax`. */
const batchBytesMax = 192 * 1024;

/** Collects the readings of one message, live and historical ones apart, in the order of the message. */
class Batches {
  parts = 0;
  readonly #time: number;
  readonly #options: ReadOptions;
  #live: Reading[] = [];
  #liveBytes = 0;
  #historical: Reading[] = [];
  #historicalBytes = 0;

  constructor(time: number, options: ReadOptions) {
    this.#time = time;
    this.#options = options;
  }

  add(reading: Reading, isHistorical: boolean): void {
    const bytes = bytesBound(reading);
    const list = isHistorical ? this.#historical : this.#live;
    const before = isHistorical ? this.#historicalBytes : this.#liveBytes;
    if (list.length >= reportLimits.readingsMax || before + bytes > batchBytesMax) this.#flush(isHistorical);
    if (isHistorical) {
      this.#historical.push(reading);
      this.#historicalBytes += bytes;
    } else {
      this.#live.push(reading);
      this.#liveBytes += bytes;
    }
  }

  finish(): void {
    this.#flush(false);
    this.#flush(true);
  }

  #flush(isHistorical: boolean): void {
    const readings = isHistorical ? this.#historical : this.#live;
    if (isHistorical) {
      this.#historical = [];
      this.#historicalBytes = 0;
    } else {
      this.#live = [];
      this.#liveBytes = 0;
    }
    if (readings.length === 0) return;
    const { device, seq, payload, traceparent, sink } = this.#options;
    const batch = { device, time: this.#time, isHistorical, readings, seq, part: this.parts++, payload };
    sink.readings(traceparent === undefined ? batch : { ...batch, traceparent });
  }
}

/** Upper bound of the encoded bytes of a reading: UTF-8 has at most 3 bytes for a UTF-16 unit. */
function bytesBound({ tag, value, unit = '' }: Reading): number {
  return 48 + 3 * (tag.length + unit.length + (typeof value === 'string' ? value.length : 0));
}

/**
 * Reads the metrics of a message. Emits the readings in batches, and returns the problems by reason. The order of the
 * metrics is kept, so that of two values of one tag and time the last one wins.
 */
export function readMetrics(
  payload: Payload,
  table: MetricTable | undefined,
  options: ReadOptions,
): readonly Problem[] {
  const payloadTime = timeOf(payload.timestamp, options.counts);
  const batches = new Batches(payloadTime ?? 0, options);
  let problems: { reason: MetricProblem; message: string; count: number }[] | undefined;
  for (const metric of payload.metrics) {
    const read = readingOf(metric, table, payloadTime, options);
    if (read === undefined) continue;
    if (!(read instanceof UnreadableMetric)) {
      batches.add(read, metric.isHistorical === true);
      continue;
    }
    problems ??= [];
    const known = problems.find(({ reason }) => reason === read.reason);
    if (known !== undefined) known.count++;
    else problems.push({ reason: read.reason, message: read.message, count: 1 });
  }
  batches.finish();
  return problems ?? noProblems;
}

/** Returns undefined for a metric that makes no reading by intent. */
function readingOf(
  metric: Metric,
  table: MetricTable | undefined,
  payloadTime: number | undefined,
  options: ReadOptions,
): Reading | undefined | UnreadableMetric {
  const { counts, isBirth } = options;
  if (isBirth && !metric.name) return new UnreadableMetric('invalid_report', 'metric: expected a name, got none');
  const definition = definitionOf(metric, table, options.hasAliases);
  if (definition instanceof UnreadableMetric) return definition;
  const tag = definition?.name ?? metric.name!;
  if (isControl(tag)) return undefined;
  if (tag.length > reportLimits.tagCharactersMax || !isPlainText(tag)) return invalidTag(tag);

  const dataType = dataTypeOf(metric, definition, options);
  if (!isReadable(dataType) && !isBirth && definition !== undefined) {
    counts.unsupportedTypes++;
    return undefined;
  }
  if (dataType === dataTypes.unknown) return withoutDataType(tag);
  const value = metricValue(metric, dataType);
  if (value instanceof UnreadableMetric) return named(tag, value);
  if (value === undefined && metric.isNull !== true && hasNumber(metric)) counts.notFinite++;

  const ownTime = timeOf(metric.timestamp, counts);
  const lastTime = ownTime ?? payloadTime ?? 0;
  if (options.newerOnly && definition !== undefined && definition.lastTime >= lastTime && lastTime > 0)
    return undefined;
  const properties = propertiesOf(metric.properties);
  if (properties.isMalformed === true) counts.invalidProperties++;
  const shownValue = value ?? definition?.last ?? zeroOf(dataType);
  if (definition !== undefined && value !== undefined && metric.isHistorical !== true) {
    keepLast(definition, value, lastTime);
  }
  const time = ownTime === payloadTime ? undefined : ownTime;
  const quality = value === undefined ? 'bad' : properties.quality;
  return reading(tag, shownValue, properties.unit ?? definition?.unit, quality, time);
}

/** The data type of the birth counts; in a birth, or for a name that the birth lacks, that of the metric. */
function dataTypeOf(metric: Metric, definition: MetricDefinition | undefined, options: ReadOptions): number {
  if (options.isBirth) return birthDataType(metric);
  if (definition === undefined) {
    options.counts.unknownNames++;
    return birthDataType(metric);
  }
  const { datatype } = metric;
  if (typeof datatype === 'number' && datatype !== definition.dataType) options.counts.dataTypeMismatches++;
  return definition.dataType === dataTypes.unknown ? dataTypeOfField(metric) : definition.dataType;
}

function reading(
  tag: string,
  value: Reading['value'],
  unit: string | undefined,
  quality: Quality | undefined,
  time: number | undefined,
): Reading {
  const made: { tag: string; value: Reading['value']; unit?: string; quality?: Quality; time?: number } = {
    tag,
    value,
  };
  if (unit !== undefined) made.unit = unit;
  if (quality !== undefined && quality !== 'good') made.quality = quality;
  if (time !== undefined) made.time = time;
  return made;
}

/** Returns a time in epoch ms; undefined without one, or for one outside 1973 to 5138. */
export function timeOf(timestamp: number | bigint | null | undefined, counts: SparkplugCounts): number | undefined {
  if (timestamp === null || timestamp === undefined || timestamp === 0) return undefined;
  if (isSourceTime(timestamp)) return timestamp;
  counts.invalidTimes++;
  return undefined;
}

function hasNumber({ floatValue, doubleValue }: Metric): boolean {
  return typeof floatValue === 'number' || typeof doubleValue === 'number';
}

function named(tag: string, { reason, message }: UnreadableMetric): UnreadableMetric {
  return new UnreadableMetric(reason, `metric ${shown(tag)}: ${message}`);
}

function invalidTag(tag: string): UnreadableMetric {
  const { tagCharactersMax } = reportLimits;
  return new UnreadableMetric(
    'invalid_report',
    `metric ${shown(tag)}: expected a name of at most ${tagCharactersMax} characters without control characters`,
  );
}

function withoutDataType(tag: string): UnreadableMetric {
  return new UnreadableMetric('invalid_report', `metric ${shown(tag)}: expected a data type or a value, got neither`);
}
