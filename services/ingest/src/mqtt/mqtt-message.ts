import { isUtf8 } from 'node:buffer';
import { MqttError, mqttReasons } from '@tailrace/mqtt/reason';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { isObject } from '@tailrace/protocol/reading';
import { assertReportId, type Report, reportFromJson } from '@tailrace/protocol/report';
import {
  countedDevices,
  type DeviceBatch,
  type DeviceMessage,
  type InvalidMessage,
} from '../devices/device-message.ts';
import { jsonRunsOf } from '../json-text.ts';
import { PayloadError } from '../payload-error.ts';
import { JsonText } from '../reports.ts';
import type { DeviceTopic } from './device-topic.ts';
import {
  jsonReport,
  payloadJson,
  payloadScalar,
  payloadText,
  protobufReports,
  protobufTypes,
  withId,
} from './mqtt-payload.ts';

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
  /** DUP. */
  readonly isRepetition?: boolean;
  /** Of the report, unless its payload has another one; '' for none. */
  readonly id: string;
  /** Of a message with an array or Protobuf: a repetition is not appended again. '' for none. */
  readonly batchId: string;
  /** Content Type of MQTT 5; '' for none. */
  readonly contentType: string;
  /** Whether the payload is text by its Payload Format Indicator. */
  readonly isText: boolean;
  /** Monotonic ms. */
  readonly receivedMs: number;
  /** W3C Trace Context; '' for none. */
  readonly traceparent: string;
}

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
  const { batchId } = published;
  if (batchId !== '') assertReportId(batchId);
  if (topic.kind === 'protobuf' || protobufTypes.includes(contentType)) {
    const reports = protobufReports(payload, batchReportsMax);
    return new MqttBatch(published, reports.length, reports);
  }
  if (contentType !== '' && contentType.split(';')[0]!.trim().toLowerCase() !== jsonType) {
    const expected = `${jsonType} or ${protobufTypes[0]}`;
    throw new TailraceError('invalid_report', `content type: expected ${expected}, got ${shown(contentType)}`);
  }
  if (!startsWithArray(payload)) return new MqttMessage(published);
  const { elements } = jsonRunsOf(payloadText(payload, 'malformed_json'));
  if (elements > batchReportsMax) {
    const message = `payload: expected at most ${batchReportsMax} reports, got ${elements}: send several messages`;
    throw new TailraceError('too_large', message);
  }
  return new MqttBatch(published, elements, undefined);
}

/** What a message has of its PUBLISH, with one report or several. */
abstract class Published {
  readonly device: string;
  readonly token: number;
  /** '': MQTT recognizes a repetition by packet identifiers, and fanout by the ID of the report. */
  readonly id: string;
  readonly qos: 0 | 1 | 2;
  readonly isEvent = false;
  readonly isRepetition: boolean;
  readonly bytes: number;
  readonly receivedMs: number;
  readonly traceparent: string;
  /** Undefined once it was read. */
  protected payload: Buffer | undefined;

  constructor(published: PublishedMessage, id = '') {
    const { topic, payload, ticket, qos, isRepetition, receivedMs, traceparent } = published;
    this.id = id;
    this.device = topic.path;
    this.token = ticket;
    this.qos = qos;
    this.isRepetition = isRepetition === true;
    this.bytes = payload.length;
    this.receivedMs = receivedMs;
    this.traceparent = traceparent;
    this.payload = payload;
  }

  /** Called where the message waits: the payload is part of a chunk of the connection until then. */
  keep(): void {
    if (this.payload !== undefined) this.payload = Buffer.from(this.payload);
  }
}

/** A message with one report. */
export class MqttMessage extends Published implements DeviceMessage {
  readonly #topic: DeviceTopic;
  readonly #reportId: string;

  constructor(published: PublishedMessage) {
    super(published);
    this.#topic = published.topic;
    this.#reportId = published.id;
  }

  report(): Report {
    const payload = this.payload!;
    this.payload = undefined;
    const { kind, tag, path: device } = this.#topic;
    if (kind === 'tag') {
      const value = payloadScalar(payloadText(payload, 'malformed_number'), false);
      return withId(reportFromJson({ device, readings: [{ tag, value }] }), this.#reportId);
    }
    const text = payloadText(payload, 'malformed_json');
    return jsonReport(payloadJson(text), { device, id: this.#reportId }, new JsonText(text), undefined);
  }
}

/** A message with several reports: one acknowledgment. */
export class MqttBatch extends Published implements DeviceBatch {
  readonly count: number;
  readonly #reportId: string;
  /** Of Protobuf, views of the payload; undefined once they were read. */
  #reports: readonly (() => Report)[] | undefined;
  /** Once it was parsed. */
  #messages: readonly (InnerMessage | InvalidMessage)[] | undefined;

  constructor(published: PublishedMessage, count: number, reports: readonly (() => Report)[] | undefined) {
    super(published, published.batchId);
    this.count = count;
    this.#reportId = count === 1 ? published.id : '';
    this.#reports = reports;
  }

  override keep(): void {
    super.keep();
    if (this.payload !== undefined && this.#reports !== undefined)
      this.#reports = protobufReports(this.payload, batchReportsMax);
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
    const payload = this.payload!;
    const reports = this.#reports;
    this.payload = undefined;
    this.#reports = undefined;
    const id = this.#reportId;
    if (reports !== undefined) return reports.map((reportOf) => this.#decoded(reportOf));
    let values: readonly unknown[];
    let numbers: JsonText;
    try {
      const text = payloadText(payload, 'malformed_json');
      values = payloadJson(text) as readonly unknown[];
      numbers = new JsonText(text);
    } catch (error) {
      return [{ id: '', error: error as TailraceError }];
    }
    if (values.length === 0) {
      const error = new PayloadError('invalid_report', 'the payload: expected at least one report, got none');
      return [{ id: '', error }];
    }
    return values.map((value, index) => {
      const { device: own, deviceId } = isObject(value) ? (value as { device?: unknown; deviceId?: unknown }) : {};
      const named = own ?? deviceId;
      const device = typeof named === 'string' ? named : this.device;
      const defaults = { device: this.device, id };
      return new InnerMessage(this, device, () => jsonReport(value, defaults, numbers, index));
    });
  }

  #decoded(reportOf: () => Report): InnerMessage | InvalidMessage {
    try {
      const report = withId(reportOf(), this.#reportId);
      return new InnerMessage(this, report.device, () => report);
    } catch (error) {
      return { id: '', error: error as TailraceError };
    }
  }
}

/** A report of a batch. */
class InnerMessage implements DeviceMessage {
  readonly token = -1;
  readonly id = '';
  readonly qos: 0 | 1 | 2;
  readonly isEvent = false;
  readonly isRepetition = false;
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
