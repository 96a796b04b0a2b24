import { isUtf8 } from 'node:buffer';
import { MqttError, mqttReasons } from '@tailrace/mqtt/reason';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { decodeIotData, isIotData } from '@tailrace/protocol/iot-data-proto';
import { isObject } from '@tailrace/protocol/reading';
import { type Report, reportFromJson } from '@tailrace/protocol/report';
import { batchedReports, decodeSentReport } from '@tailrace/protocol/report-proto';
import {
  countedDevices,
  type DeviceBatch,
  type DeviceMessage,
  type InvalidMessage,
} from '../devices/device-message.ts';
import { jsonRunsOf } from '../json-text.ts';
import { hasLargeNumber, JsonText, parseJson, textFrom } from '../reports.ts';
import type { DeviceTopic } from './device-topic.ts';

/** Most reports of a message: as many as one step of a request over HTTP parses. */
export const batchReportsMax = 500;

/** A PUBLISH of a device. */
export interface PublishedMessage {
  readonly topic: DeviceTopic;
  /** A view that is valid as long as the packet is: see `keep`. */
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  /** -1 at QoS 0. */
  readonly ticket: number;
  /** Of the report, unless its payload has another one; '' for none. */
  readonly id: string;
  /** Content Type of MQTT 5; '' for none. */
  readonly contentType: string;
  /** Whether the payload is text by its Payload Format Indicator. */
  readonly isText: boolean;
  /** Monotonic ms. */
  readonly receivedMs: number;
  /** W3C Trace Context; '' for none. */
  readonly traceparent: string;
}

const protobufTypes: readonly string[] = ['application/x-protobuf', 'application/protobuf'];
const jsonType = 'application/json';

/**
 * Returns the message of a PUBLISH on `telemetry`: one report or several. Only what is needed to count its reports is
 * read; the rest when its turn has come. Throws `invalid_report` and `too_large`, and MqttError 0x99 where the payload
 * is not of its Payload Format.
 */
export function deviceMessageFrom(published: PublishedMessage): MqttMessage | MqttBatch {
  const { topic, payload, contentType, isText } = published;
  if (isText && !isUtf8(payload))
    throw new MqttError(mqttReasons.payloadFormatInvalid, 'payload: expected UTF-8 as its format indicator has it');
  if (topic.kind === 'tag') return new MqttMessage(published);
  if (topic.kind === 'protobuf' || protobufTypes.includes(contentType)) return protobufFrom(published);
  if (contentType !== '' && contentType.split(';')[0]!.trim().toLowerCase() !== jsonType) {
    const expected = `${jsonType} or ${protobufTypes[0]}`;
    throw new TailraceError('invalid_report', `content type: expected ${expected}, got ${shown(contentType)}`);
  }
  if (!startsWithArray(payload)) return new MqttMessage(published);
  const { elements } = jsonRunsOf(textFrom(payload));
  if (elements > batchReportsMax) {
    const message = `payload: expected at most ${batchReportsMax} reports, got ${elements}: send several messages`;
    throw new TailraceError('too_large', message);
  }
  return new MqttBatch(published, elements, undefined);
}

function protobufFrom(published: PublishedMessage): MqttMessage | MqttBatch {
  const { payload } = published;
  if (isIotData(payload)) return new MqttMessage(published, 'iot-data');
  const reports = batchedReports(payload, batchReportsMax);
  return new MqttBatch(published, reports.length, reports);
}

/** A message with one report. */
export class MqttMessage implements DeviceMessage {
  readonly device: string;
  readonly token: number;
  /** MQTT recognizes a repetition by packet identifiers, and fanout by the ID of the report. */
  readonly id = '';
  readonly qos: 0 | 1 | 2;
  readonly isEvent = false;
  readonly bytes: number;
  readonly receivedMs: number;
  readonly traceparent: string;
  readonly #topic: DeviceTopic;
  readonly #reportId: string;
  readonly #format: 'report' | 'iot-data';
  /** Undefined once it was read. */
  #payload: Buffer | undefined;

  constructor(published: PublishedMessage, format: 'report' | 'iot-data' = 'report') {
    const { topic, payload, ticket, qos, receivedMs, traceparent, id } = published;
    this.device = topic.path;
    this.token = ticket;
    this.qos = qos;
    this.bytes = payload.length;
    this.receivedMs = receivedMs;
    this.traceparent = traceparent;
    this.#topic = topic;
    this.#reportId = id;
    this.#format = format;
    this.#payload = payload;
  }

  /** Called where the message waits: the payload is part of a chunk of the connection until then. */
  keep(): void {
    if (this.#payload !== undefined) this.#payload = Buffer.from(this.#payload);
  }

  report(): Report {
    const payload = this.#payload!;
    this.#payload = undefined;
    const { kind, tag, path } = this.#topic;
    if (kind === 'tag') return valueReport(textFrom(payload), path, tag, this.#reportId);
    if (this.#format === 'iot-data') return sentReport(decodeIotData(payload), this.#reportId);
    const text = textFrom(payload);
    return jsonReport(parseJson(text, 1), path, this.#reportId, () => new JsonText(text).assertExact(undefined));
  }
}

/** A message with several reports: one acknowledgment. */
export class MqttBatch implements DeviceBatch {
  readonly device: string;
  readonly token: number;
  readonly id = '';
  readonly qos: 0 | 1 | 2;
  readonly isEvent = false;
  readonly bytes: number;
  readonly receivedMs: number;
  readonly traceparent: string;
  readonly count: number;
  readonly #reportId: string;
  /** Undefined once it was read. */
  #payload: Buffer | undefined;
  /** Of Protobuf, views of the payload. */
  #reports: readonly Uint8Array[] | undefined;
  /** Once it was parsed. */
  #messages: readonly (InnerMessage | InvalidMessage)[] | undefined;

  constructor(published: PublishedMessage, count: number, reports: readonly Uint8Array[] | undefined) {
    const { topic, payload, ticket, qos, receivedMs, traceparent, id } = published;
    this.device = topic.path;
    this.token = ticket;
    this.qos = qos;
    this.bytes = payload.length;
    this.receivedMs = receivedMs;
    this.traceparent = traceparent;
    this.count = count;
    this.#reportId = count === 1 ? id : '';
    this.#payload = payload;
    this.#reports = reports;
  }

  keep(): void {
    if (this.#payload === undefined || this.#messages !== undefined) return;
    this.#payload = Buffer.from(this.#payload);
    if (this.#reports !== undefined) this.#reports = batchedReports(this.#payload, batchReportsMax);
  }

  /** Reads the reports, which may wait for the rates of their devices. */
  devices(): ReadonlyMap<string, number> | undefined {
    const devices = this.messages().map((message) => ('error' in message ? this.device : message.device));
    return countedDevices(devices, this.device);
  }

  messages(): readonly (InnerMessage | InvalidMessage)[] {
    this.#messages ??= this.#read();
    return this.#messages;
  }

  #read(): readonly (InnerMessage | InvalidMessage)[] {
    const payload = this.#payload!;
    const reports = this.#reports;
    this.#payload = undefined;
    this.#reports = undefined;
    if (reports !== undefined)
      return reports.map((bytes) => {
        const report = decodeSentReport(bytes);
        const device = report instanceof TailraceError ? this.device : report.device;
        return new InnerMessage(this, device, () => sentReport(report, this.#reportId));
      });
    const text = textFrom(payload);
    let values: readonly unknown[];
    try {
      values = parseJson(text, 1) as readonly unknown[];
    } catch (error) {
      return [{ id: '', error: error as TailraceError }];
    }
    if (values.length === 0) {
      const error = new TailraceError('invalid_report', 'payload: expected at least one report, got none');
      return [{ id: '', error }];
    }
    const numbers = new JsonText(text);
    return values.map((value, index) => {
      const { device, deviceId } = isObject(value) ? (value as { device?: unknown; deviceId?: unknown }) : {};
      const named = device ?? deviceId;
      return new InnerMessage(this, typeof named === 'string' ? named : this.device, () =>
        jsonReport(value, this.device, this.#reportId, () => numbers.assertExact(index)),
      );
    });
  }
}

/** A report of a batch. */
class InnerMessage implements DeviceMessage {
  readonly token = -1;
  readonly id = '';
  readonly qos: 0 | 1 | 2;
  readonly isEvent = false;
  readonly bytes = 0;
  readonly device: string;
  readonly receivedMs: number;
  readonly traceparent: string;
  readonly report: () => Report;

  constructor({ qos, receivedMs, traceparent }: MqttBatch, device: string, report: () => Report) {
    this.device = device;
    this.qos = qos;
    this.receivedMs = receivedMs;
    this.traceparent = traceparent;
    this.report = report;
  }
}

function jsonReport(value: unknown, device: string, id: string, assertExact: () => void): Report {
  const report = reportFromJson(isObject(value) ? withDevice(value, device) : value);
  if (hasLargeNumber(report.readings)) assertExact();
  return withId(report, id);
}

/** The topic names the device; the payload may name another one, that the sender covers. */
function withDevice(value: object, device: string): object {
  const { device: own, deviceId } = value as { device?: unknown; deviceId?: unknown };
  if ((own !== undefined && own !== null) || (deviceId !== undefined && deviceId !== null)) return value;
  // `values` without `deviceId` is the older form, too.
  const { values } = value as { values?: unknown };
  return values === undefined || values === null ? { ...value, device } : { ...value, deviceId: device };
}

const jsonNumber = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/;

/** Returns the report of a payload that is one value: a number of JSON, `true` or `false`. */
function valueReport(payload: string, device: string, tag: string, id: string): Report {
  const text = payload.trim();
  const isNumber = jsonNumber.test(text);
  if (!isNumber && text !== 'true' && text !== 'false')
    throw new TailraceError('invalid_report', `payload: expected a number, true or false, got ${shown(payload)}`);
  const report = reportFromJson({ device, readings: [{ tag, value: JSON.parse(text) }] });
  if (isNumber && hasLargeNumber(report.readings))
    new JsonText(`{"readings":[{"value":${text}}]}`).assertExact(undefined);
  return withId(report, id);
}

function sentReport(result: Report | TailraceError, id: string): Report {
  if (result instanceof TailraceError) throw result;
  return withId(result, id);
}

function withId(report: Report, id: string): Report {
  return id === '' || report.id !== undefined ? report : { ...report, id };
}

function startsWithArray(payload: Buffer): boolean {
  for (const byte of payload) {
    // JSON whitespace, and the bytes of a BOM.
    if (byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d) continue;
    if (byte === 0xef || byte === 0xbb || byte === 0xbf) continue;
    return byte === 0x5b;
  }
  return false;
}

/** Returns whether a device is online by a message of `presence`. Throws `invalid_message`. */
export function presenceFrom(payload: Buffer): boolean {
  const text = payload.toString('utf8', 0, 256).trim();
  if (text === 'online') return true;
  if (text === 'offline') return false;
  try {
    const { online } = JSON.parse(text) as { online?: unknown };
    if (typeof online === 'boolean') return online;
  } catch {}
  throw new TailraceError(
    'invalid_message',
    `presence: expected online, offline or {"online":true}, got ${shown(text)}`,
  );
}
