import { filterMatches } from '@tailrace/mqtt/topic';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { assertDevicePath } from '@tailrace/protocol/path';
import type { Reading } from '@tailrace/protocol/reading';
import { type Report, reportFromJson } from '@tailrace/protocol/report';
import { jsonWithDigits } from '../json-text.ts';
import {
  jsonReport,
  payloadJson,
  payloadScalar,
  payloadText,
  protobufReports,
  protobufTypes,
  withId,
} from '../mqtt/mqtt-payload.ts';
import { PayloadError } from '../payload-error.ts';
import { JsonText } from '../reports.ts';
import type { JsonMapSettings, MapSettings, SubscriptionSettings } from './bridge-settings.ts';
import {
  assertExactReadings,
  type FlatOptions,
  flatReadings,
  pointerNames,
  timeFrom,
  valueAt,
} from './json-readings.ts';
import { type Rejected, rejectedFrom } from './rejected.ts';
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
        protobufTypes.includes(message.contentType ?? '') ? protobufMapping(message) : jsonReports(message, device);
    case 'protobuf':
      return protobufMapping;
    case 'json':
      return jsonMap(map);
    case 'number':
      return ({ payload, id }, { device, tag }) => {
        const value = payloadScalar(payloadText(payload, 'malformed_number'), map.text);
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
    const text = payloadText(message.payload, 'malformed_json');
    const content = payloadJson(text);
    const readingsOf = (from: unknown): readonly Reading[] => {
      if (value === undefined) return flatReadings(from, options);
      const found = valueAt(from, value);
      if (typeof found === 'object' || found === undefined) return [];
      return [readingOf(tag, found as Reading['value'], map.unit)];
    };
    const readings = readingsOf(content);
    if (readings.length === 0) {
      const expected = map.value === undefined ? 'at least one number, boolean or text' : `a value at ${map.value}`;
      throw new PayloadError('invalid_report', `the payload: expected ${expected}, got ${shown(text)}`);
    }
    assertExactReadings(readings, text, readingsOf);
    const reportId = id === undefined ? undefined : idFrom(valueAt(content, id), id, text);
    const timeMs = time === undefined ? 0 : timeFrom(valueAt(content, time), map.timeUnit);
    return oneReport({ device, time: timeMs, readings }, reportId ?? message.id);
  };
}

/** An ID may be a number, such as a counter of the device, and one of 64 bits: its digits are the ID. */
function idFrom(value: unknown, names: readonly string[], text: string): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (typeof value !== 'number') return value as string;
  return String(Number.isSafeInteger(value) ? value : valueAt(jsonWithDigits(text), names));
}

/** Checks all of a report, as for one that a device has sent. */
function oneReport(report: Report, id: string | undefined): Mapping {
  return { reports: [reportFromJson(id === undefined ? report : { ...report, id })], rejected: [] };
}

function readingOf(tag: string, value: Reading['value'], unit: string | undefined): Reading {
  return unit === undefined ? { tag, value } : { tag, value, unit };
}

/** Reports as devices send them by other protocols; `device` is that of a report without one. */
function jsonReports({ payload, id = '' }: MappedMessage, device: string): Mapping {
  const text = payloadText(payload, 'malformed_json');
  const content = payloadJson(text);
  const numbers = new JsonText(text);
  if (!Array.isArray(content))
    return { reports: [jsonReport(content, { device, id }, numbers, undefined)], rejected: [] };
  const { length } = content;
  assertCount(length);
  const reportOf = (value: unknown, index: number) => () =>
    jsonReport(value, { device, id: length === 1 ? id : '' }, numbers, index);
  return mappingOf(content.map(reportOf));
}

function protobufMapping({ payload, id = '' }: MappedMessage): Mapping {
  const reports = protobufReports(payload, reportsMax);
  return mappingOf(reports.map((reportOf) => () => withId(reportOf(), reports.length === 1 ? id : '')));
}

/** Each call returns a report, or throws why it is none. */
function mappingOf(calls: readonly (() => Report)[]): Mapping {
  const reports: Report[] = [];
  const rejected: Rejected[] = [];
  for (const [index, call] of calls.entries()) {
    try {
      reports.push(call());
    } catch (thrown) {
      const { reason, message } = rejectedFrom(thrown);
      rejected.push({ reason, message: calls.length === 1 ? message : `report ${index}: ${message}` });
    }
  }
  return { reports, rejected };
}

function assertCount(count: number): void {
  if (count < 1) throw new PayloadError('invalid_report', 'the payload: expected at least one report, got none');
  if (count > reportsMax)
    throw new PayloadError('too_large', `the payload: expected at most ${reportsMax} reports, got ${count}`);
}
