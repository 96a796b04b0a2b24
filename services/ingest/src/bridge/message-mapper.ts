import { filterMatches } from '@tailrace/mqtt/topic';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { decodeIotData, isIotData } from '@tailrace/protocol/iot-data-proto';
import { assertDevicePath } from '@tailrace/protocol/path';
import type { Reading } from '@tailrace/protocol/reading';
import { type Report, reportFromJson } from '@tailrace/protocol/report';
import { batchedReports, decodeSentReport } from '@tailrace/protocol/report-proto';
import type { DeadLetterReason } from '../dead-letters/dead-letter.ts';
import { textFrom } from '../reports.ts';
import type { JsonMapSettings, MapSettings, SubscriptionSettings } from './bridge-settings.ts';
import {
  assertExactReadings,
  type FlatOptions,
  flatReadings,
  pointerNames,
  timeFrom,
  valueAt,
} from './json-readings.ts';
import { MappingError, type Rejected, rejectedFrom } from './mapping-error.ts';
import { pathSegmentFrom, TopicTemplate } from './topic-template.ts';

/** What the mapping takes of an MQTT message. */
export interface MappedMessage {
  readonly topic: string;
  readonly payload: Buffer;
  readonly contentType: string | undefined;
  /** The user property `id`. */
  readonly id: string | undefined;
}

/** The reports of a message, and what of it became none. */
export interface Mapping {
  readonly reports: readonly Report[];
  readonly rejected: readonly Rejected[];
}

/** Topics whose route is remembered; then all are forgotten. */
const routesMax = 10_000;
/** Reports of one message. A packet of 256 KiB has fewer of a useful size. */
const reportsMax = 1_000;

/** Returns the reports of a message. May throw anything that `rejectedFrom` takes. */
type ReportsOf = (message: MappedMessage, route: Route) => Mapping;

/** A topic, and what its messages become. */
interface Route {
  readonly reportsOf: ReportsOf;
  /** '' for a map without a device. */
  readonly device: string;
  readonly tag: string;
}

interface CompiledSubscription {
  readonly filter: string;
  readonly routeOf: (topic: string) => Route;
}

/** Messages to reports, by the subscriptions of one bridge. */
export class MessageMapper {
  readonly #subscriptions: readonly CompiledSubscription[];
  readonly #routes = new Map<string, Route | Rejected>();

  /** Throws `invalid_config` for a template that does not fit its filter. */
  constructor(subscriptions: readonly SubscriptionSettings[]) {
    this.#subscriptions = subscriptions.map(({ filter, map }) => ({ filter, routeOf: routesOf(filter, map) }));
  }

  /** Returns the reports of a message. Never throws. */
  map(message: MappedMessage): Mapping {
    const route = this.#routes.get(message.topic) ?? this.#find(message.topic);
    if ('reason' in route) return { reports: [], rejected: [route] };
    try {
      return route.reportsOf(message, route);
    } catch (thrown) {
      return { reports: [], rejected: [rejectedFrom(thrown)] };
    }
  }

  #find(topic: string): Route | Rejected {
    const route = this.#routeOf(topic);
    if (this.#routes.size === routesMax) this.#routes.clear();
    this.#routes.set(topic, route);
    return route;
  }

  #routeOf(topic: string): Route | Rejected {
    const subscription = this.#subscriptions.find(({ filter }) => filterMatches(filter, topic));
    if (subscription === undefined)
      return {
        reason: 'no_mapping',
        message: `topic: expected one of a subscription of this bridge, got ${shown(topic)}`,
      };
    try {
      return subscription.routeOf(topic);
    } catch (thrown) {
      return rejectedFrom(thrown);
    }
  }
}

function routesOf(filter: string, map: MapSettings): (topic: string) => Route {
  const reportsOf = reportsOfMap(map);
  const replace = 'replace' in map && map.replace;
  const deviceTemplate =
    'device' in map && map.device !== undefined ? new TopicTemplate(map.device, filter) : undefined;
  const tagTemplate = 'tag' in map && map.tag !== undefined ? new TopicTemplate(map.tag, filter) : undefined;
  const segment = replace ? pathSegmentFrom : assertedSegment;
  return (topic) => {
    const device = deviceTemplate?.of(topic, segment) ?? '';
    if (deviceTemplate !== undefined) assertDevicePath(device);
    return { reportsOf, device, tag: tagTemplate?.of(topic) ?? '' };
  };
}

/** A level with a dot would be two segments, so that two topics would be one device. */
function assertedSegment(level: string): string {
  if (!level.includes('.')) return level;
  throw new TailraceError(
    'invalid_path',
    `level of the topic: expected no ".", which separates the segments of a device path, got ${shown(level)}`,
  );
}

function reportsOfMap(map: MapSettings): ReportsOf {
  switch (map.payload) {
    case 'report':
      return (message, { device }) =>
        message.contentType === 'application/x-protobuf'
          ? protobufReports(message.payload)
          : jsonReports(message, device);
    case 'protobuf':
      return ({ payload }) => protobufReports(payload);
    case 'json':
      return jsonMap(map);
    case 'number':
      return ({ payload, id }, { device, tag }) => {
        const value = scalarFrom(textOf(payload, 'malformed_number'), map.text);
        return oneReport({ device, time: 0, readings: [readingOf(tag, value, map.unit)] }, id);
      };
  }
}

function jsonMap(map: JsonMapSettings): ReportsOf {
  const time = map.time === undefined ? undefined : pointerNames(map.time);
  const id = map.id === undefined ? undefined : pointerNames(map.id);
  const value = map.value === undefined ? undefined : pointerNames(map.value);
  const options: FlatOptions = {
    only: map.only === undefined ? undefined : new Set(map.only),
    units: map.units ?? {},
    except: new Set([time, id].flatMap((names) => (names === undefined ? [] : [names.join('.')]))),
  };
  return (message, { device, tag }) => {
    const text = textOf(message.payload, 'malformed_json');
    const content = parsedJson(text);
    const readingsOf = (from: unknown): readonly Reading[] => {
      if (value === undefined) return flatReadings(from, options);
      const found = valueAt(from, value);
      if (typeof found === 'object' || found === undefined) return [];
      return [readingOf(tag, found as Reading['value'], map.unit)];
    };
    const readings = readingsOf(content);
    if (readings.length === 0) {
      const expected = map.value === undefined ? 'at least one number, boolean or text' : `a value at ${map.value}`;
      throw new MappingError('invalid_report', `the payload: expected ${expected}, got ${shown(text)}`);
    }
    assertExactReadings(readings, text, readingsOf);
    const reportId = id === undefined ? undefined : valueAt(content, id);
    const timeMs = time === undefined ? 0 : timeFrom(valueAt(content, time), map.timeUnit);
    return oneReport({ device, time: timeMs, readings }, reportId === undefined ? message.id : idFrom(reportId));
  };
}

/** An ID may be a number, such as a counter of the device. */
function idFrom(value: unknown): string | undefined {
  if (value === null) return undefined;
  return typeof value === 'number' ? String(value) : (value as string);
}

/** Checks all of a report, as for one that a device has sent. */
function oneReport(report: Report, id: string | undefined): Mapping {
  return { reports: [reportFromJson(id === undefined ? report : { ...report, id })], rejected: [] };
}

function readingOf(tag: string, value: Reading['value'], unit: string | undefined): Reading {
  return unit === undefined ? { tag, value } : { tag, value, unit };
}

/** Reports as devices send them by other protocols; `device` is that of a report without one. */
function jsonReports({ payload, id }: MappedMessage, device: string): Mapping {
  const text = textOf(payload, 'malformed_json');
  const content = parsedJson(text);
  const list: readonly unknown[] = Array.isArray(content) ? content : [content];
  assertCount(list.length);
  const reports: Report[] = [];
  const rejected: Rejected[] = [];
  for (const [index, each] of list.entries()) {
    try {
      const report = reportFromJson(withDefaults(each, device, list.length === 1 ? id : undefined));
      assertExactReadings(report.readings, text, (replaced) => exactReadings(replaced, index));
      reports.push(report);
    } catch (thrown) {
      const { reason, message } = rejectedFrom(thrown);
      rejected.push({ reason, message: list.length === 1 ? message : `report ${index}: ${message}` });
    }
  }
  return { reports, rejected };
}

function withDefaults(value: unknown, device: string, id: string | undefined): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const report = value as { device?: unknown; id?: unknown };
  const hasDevice = report.device !== undefined && report.device !== null;
  const defaults: { device?: string; id?: string } = {};
  if (!hasDevice && device !== '') defaults.device = device;
  if (id !== undefined && (report.id === undefined || report.id === null || report.id === '')) defaults.id = id;
  return Object.keys(defaults).length === 0 ? value : { ...report, ...defaults };
}

/** The readings whose values are still values where inexact integers are objects. */
function exactReadings(replaced: unknown, index: number): readonly Reading[] {
  const report = (Array.isArray(replaced) ? replaced[index] : replaced) as { readings?: readonly Reading[] };
  return (report.readings ?? []).filter(({ value }) => typeof value !== 'object');
}

function protobufReports(payload: Buffer): Mapping {
  const reports: Report[] = [];
  const rejected: Rejected[] = [];
  const add = (decoded: Report | TailraceError) => {
    if (decoded instanceof TailraceError) rejected.push(rejectedFrom(decoded));
    else reports.push(decoded);
  };
  try {
    if (isIotData(payload)) add(decodeIotData(payload));
    else for (const bytes of batchedReports(payload, reportsMax)) add(decodeSentReport(bytes));
  } catch (thrown) {
    const { code, message } = tailraceErrorFrom(thrown);
    throw new MappingError(code === 'too_large' ? 'too_large' : 'malformed_protobuf', message);
  }
  if (reports.length + rejected.length === 0)
    throw new MappingError('malformed_protobuf', 'the payload: expected at least one report, got none');
  return { reports, rejected };
}

function textOf(payload: Buffer, reason: DeadLetterReason): string {
  try {
    return textFrom(payload);
  } catch (thrown) {
    throw new MappingError(reason, tailraceErrorFrom(thrown).message);
  }
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new MappingError(
      'malformed_json',
      `the payload: expected JSON, got ${shown(text)} (${(error as Error).message})`,
    );
  }
}

function assertCount(count: number): void {
  if (count < 1) throw new MappingError('invalid_report', 'the payload: expected at least one report, got none');
  if (count > reportsMax)
    throw new MappingError('too_large', `the payload: expected at most ${reportsMax} reports, got ${count}`);
}

const jsonNumber = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/;

/** Returns the number or boolean of a text. Throws `malformed_number` for any other, unless texts are allowed. */
function scalarFrom(text: string, allowsText: boolean): number | boolean | string {
  const trimmed = text.trim();
  if (trimmed === 'true') return true;
  if (trimmed === 'false') return false;
  if (jsonNumber.test(trimmed)) {
    const number = Number(trimmed);
    if (/^-?[0-9]+$/.test(trimmed) && !Number.isSafeInteger(number) && BigInt(trimmed) !== BigInt(number))
      throw new MappingError(
        'inexact',
        `the payload: expected a number that a double holds exactly, got ${trimmed.slice(0, 80)}`,
      );
    if (Number.isFinite(number)) return number;
  } else if (allowsText) return text;
  throw new MappingError(
    'malformed_number',
    `the payload: expected a number as JSON writes it, true or false, got ${shown(text)}`,
  );
}
