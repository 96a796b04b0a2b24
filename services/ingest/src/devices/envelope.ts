import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { assertDevicePath } from '@tailrace/protocol/path';
import { isObject } from '@tailrace/protocol/reading';
import { type Report, reportFromJson, reportLimits } from '@tailrace/protocol/report';
import { assertSourceTime } from '@tailrace/protocol/source-time';
import { isPlainText, utf8Bytes } from '@tailrace/protocol/text';
import { assertExact, jsonWithInexact } from '../json-text.ts';
import { hasLargeNumber } from '../reports.ts';
import type { AuthRequest } from './authentication.ts';
import { countedDevices, type DeviceBatch, type DeviceMessage, type InvalidMessage } from './device-message.ts';

/*
 * The JSON messages of a device over WebSocket, as docs/PROTOCOL.md defines them. Pure functions: a frame becomes an
 * envelope (`frameFrom`, `envelopeFrom`), and the envelope a message (`messageFrom`, `batchFrom`, `authFrom`).
 */

/** All types of messages that a device sends. */
export const deviceMessageTypes = ['auth', 'status', 'event', 'batch', 'presence', 'ack', 'reply', 'bye'] as const;
export type DeviceMessageType = (typeof deviceMessageTypes)[number];

export interface Envelope {
  readonly type: DeviceMessageType;
  /** '' for none. */
  readonly msgid: string;
  /** Epoch ms by the device's clock; 0 for none. */
  readonly timestamp: number;
  /** The device; '' for the one of the session. */
  readonly from: string;
  readonly payload: object;
  readonly qos: 0 | 1 | 2;
  /** '' for none. */
  readonly traceparent: string;
}

/** Most messages of a batch: as many as one step of a request over HTTP parses. */
export const batchMessagesMax = 500;

const envelopeKeys = 'ver, msgid, timestamp, from, to, type, payload, qos, retain and traceparent';

/** Returns the object of a frame. Throws `invalid_message` for a frame that is no JSON object with a type. */
export function frameFrom(text: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalidMessage(`message: expected a JSON object, got ${shown(text)}`, cause);
  }
  if (!isObject(value)) throw invalidMessage(`message: expected a JSON object with a type, got ${shown(value)}`);
  const { type } = value as { type?: unknown };
  if (typeof type === 'string') return value;
  throw invalidMessage(`type: expected one of ${deviceMessageTypes.join(', ')}, got ${shown(type)}`);
}

/** Returns the message ID by which an error of the object can be answered; '' for none that is valid. */
export function messageIdOf(value: object): string {
  const { msgid } = value as { msgid?: unknown };
  return isMessageId(msgid) ? msgid : '';
}

interface UncheckedEnvelope {
  readonly ver?: unknown;
  readonly msgid?: unknown;
  readonly timestamp?: unknown;
  readonly from?: unknown;
  readonly type?: unknown;
  readonly payload?: unknown;
  readonly qos?: unknown;
  readonly retain?: unknown;
  readonly traceparent?: unknown;
}

/**
 * Validates an envelope, apart from its payload. Null counts as absent. Throws `invalid_message`, `invalid_path` for
 * `from`, and `invalid_report` for `timestamp`. Hot: runs for each message. `isInner`: the message is one of a batch,
 * which has the acknowledgement.
 */
export function envelopeFrom(value: object, isInner = false): Envelope {
  for (const key in value) {
    switch (key) {
      case 'ver':
      case 'msgid':
      case 'timestamp':
      case 'from':
      case 'to':
      case 'type':
      case 'payload':
      case 'qos':
      case 'retain':
      case 'traceparent':
        break;
      default:
        throw invalidMessage(`message: expected ${envelopeKeys}, got the unknown key ${shown(key)}`);
    }
  }
  const { ver, msgid, timestamp, from, type, payload, qos, retain, traceparent } = value as UncheckedEnvelope;
  if (ver !== undefined && ver !== null && ver !== 1 && ver !== '1')
    throw invalidMessage(`ver: expected 1, got ${shown(ver)}`);
  if (!isMessageType(type))
    throw invalidMessage(`type: expected one of ${deviceMessageTypes.join(', ')}, got ${shown(type)}`);
  if (retain !== undefined && retain !== null && typeof retain !== 'boolean')
    throw invalidMessage(`retain: expected a boolean, got ${shown(retain)}`);
  const id = msgid ?? '';
  if (id !== '') assertMessageId(id);
  const time = timestamp ?? 0;
  if (time !== 0) assertSourceTime(time, 'timestamp');
  const device = from ?? '';
  if (device !== '') assertDevicePath(device);
  const body = payload ?? {};
  if (!isObject(body)) throw invalidMessage(`payload: expected an object, got ${shown(body)}`);
  const isAnswered = type === 'status' || type === 'event' || type === 'batch';
  const quality = qos ?? (isAnswered ? 1 : 0);
  if (quality !== 0 && quality !== 1 && quality !== 2)
    throw invalidMessage(`qos: expected 0, 1 or 2, got ${shown(qos)}`);
  if ((isAnswered || type === 'reply' || type === 'presence') && quality > 0 && id === '' && !isInner)
    throw invalidMessage(
      `msgid: expected a text of 1 to ${reportLimits.idBytesMax} bytes for qos ${quality}, got none`,
    );
  return {
    type,
    msgid: id as string,
    timestamp: time as number,
    from: device as string,
    payload: body,
    qos: quality,
    traceparent: typeof traceparent === 'string' ? traceparent : '',
  };
}

/** Returns whether the device of a `presence` is online. Throws `invalid_message`. */
export function presenceFrom({ payload }: Envelope): boolean {
  const { online } = payload as { readonly online?: unknown };
  if (typeof online !== 'boolean') throw invalidMessage(`payload.online: expected true or false, got ${shown(online)}`);
  return online;
}

function isMessageType(type: unknown): type is DeviceMessageType {
  return (deviceMessageTypes as readonly unknown[]).includes(type);
}

function isMessageId(value: unknown): value is string {
  const max = reportLimits.idBytesMax;
  if (typeof value !== 'string' || value === '' || value.length > max) return false;
  return utf8Bytes(value) <= max && isPlainText(value);
}

function assertMessageId(value: unknown): asserts value is string {
  if (isMessageId(value)) return;
  const expected = `a text of 1 to ${reportLimits.idBytesMax} bytes without control characters`;
  throw invalidMessage(`msgid: expected ${expected}, got ${shown(value)}`);
}

/** A received frame. */
export interface Frame {
  readonly text: string;
  readonly bytes: number;
  /** Monotonic ms. */
  readonly receivedMs: number;
}

/** Returns the message of a `status` or `event`. `device`: of the session. */
export function messageFrom(envelope: Envelope, device: string, { text, bytes, receivedMs }: Frame): DeviceMessage {
  const sender = envelope.from === '' ? device : envelope.from;
  return new EnvelopeMessage(envelope, sender, envelope.msgid, bytes, receivedMs, text, undefined);
}

/** One `status` or `event`, whose report is parsed only when its turn has come. */
class EnvelopeMessage implements DeviceMessage {
  readonly device: string;
  readonly token: string;
  readonly id: string;
  readonly qos: 0 | 1 | 2;
  readonly isEvent: boolean;
  /** A device does not state it: its message IDs show it. */
  readonly isRepetition = false;
  readonly bytes: number;
  readonly receivedMs: number;
  readonly traceparent: string;
  readonly #envelope: Envelope;
  /** Of a message of a batch: of the batch. */
  readonly #frame: string | FrameNumbers;
  /** In its batch. */
  readonly #index: number | undefined;

  constructor(
    envelope: Envelope,
    device: string,
    id: string,
    bytes: number,
    receivedMs: number,
    frame: string | FrameNumbers,
    index: number | undefined,
  ) {
    this.device = device;
    this.token = envelope.msgid;
    this.id = id;
    this.qos = envelope.qos;
    this.isEvent = envelope.type === 'event';
    this.bytes = bytes;
    this.receivedMs = receivedMs;
    this.traceparent = envelope.traceparent;
    this.#envelope = envelope;
    this.#frame = frame;
    this.#index = index;
  }

  report(): Report {
    const { timestamp, payload } = this.#envelope;
    const readings = this.isEvent ? eventReadings(payload) : statusReadings(payload);
    const time = timestamp;
    const { device, id } = this;
    const report = reportFromJson(id === '' ? { device, time, readings } : { device, time, readings, id });
    if (hasLargeNumber(report.readings)) {
      const numbers = typeof this.#frame === 'string' ? new FrameNumbers(this.#frame) : this.#frame;
      numbers.assertExact(this.#index);
    }
    return report;
  }
}

/** The text of a frame, and the integers that JSON.parse has rounded. Scanned at most once. */
class FrameNumbers {
  readonly #text: string;
  #payload: { readonly messages?: readonly { readonly payload: unknown }[] } | undefined;
  #isScanned = false;

  constructor(text: string) {
    this.#text = text;
  }

  /** Throws `invalid_report` if a double does not hold a value of the message. `index`: in its batch. */
  assertExact(index: number | undefined): void {
    if (!this.#isScanned) {
      const text = jsonWithInexact(this.#text);
      this.#payload = text === undefined ? undefined : JSON.parse(text).payload;
      this.#isScanned = true;
    }
    if (this.#payload === undefined) return;
    const payload = index === undefined ? this.#payload : this.#payload.messages![index]!.payload;
    const { value } = payload as EventPayload;
    assertExact({ readings: [{ value }] });
    assertExact(payload);
  }
}

interface StatusPayload {
  readonly readings?: unknown;
  readonly values?: unknown;
}

function statusReadings(payload: StatusPayload): unknown {
  for (const key in payload) {
    if (key !== 'readings' && key !== 'values')
      throw invalidMessage(`payload: expected readings, got the unknown key ${shown(key)}`);
  }
  // `values` is the name of older gateways.
  return payload.readings ?? payload.values;
}

interface EventPayload {
  readonly name?: unknown;
  readonly value?: unknown;
  readonly readings?: unknown;
}

/** Returns the readings of an event: its name as a tag, true without a value, then its readings. */
function eventReadings(payload: EventPayload): unknown {
  for (const key in payload) {
    if (key !== 'name' && key !== 'value' && key !== 'readings')
      throw invalidMessage(`payload: expected name, value and readings, got the unknown key ${shown(key)}`);
  }
  const { name, value, readings } = payload;
  if (typeof name !== 'string') throw invalidMessage(`payload.name: expected a text, got ${shown(name)}`);
  const first = { tag: name, value: value ?? true };
  if (readings === undefined || readings === null) return [first];
  if (!Array.isArray(readings)) throw invalidMessage(`payload.readings: expected an array, got ${shown(readings)}`);
  return [first, ...readings];
}

/**
 * Returns the batch of a `batch`, whose messages are validated only when its turn has come. Throws `invalid_message`,
 * and `too_large` beyond `batchMessagesMax`.
 */
export function batchFrom(envelope: Envelope, device: string, { text, bytes, receivedMs }: Frame): DeviceBatch {
  const { payload, msgid, qos, traceparent } = envelope;
  for (const key in payload) {
    if (key !== 'messages') throw invalidMessage(`payload: expected messages, got the unknown key ${shown(key)}`);
  }
  const { messages } = payload as { messages?: unknown };
  if (!Array.isArray(messages)) throw invalidMessage(`payload.messages: expected an array, got ${shown(messages)}`);
  const count = messages.length;
  if (count === 0) throw invalidMessage(`payload.messages: expected 1 to ${batchMessagesMax} items, got 0`);
  if (count > batchMessagesMax) {
    const message = `payload.messages: expected 1 to ${batchMessagesMax} items, got ${count}: send several batches`;
    throw new TailraceError('too_large', message);
  }
  const sender = envelope.from === '' ? device : envelope.from;
  const numbers = new FrameNumbers(text);
  return {
    ...{
      device: sender,
      token: msgid,
      id: msgid,
      qos,
      isEvent: false,
      isRepetition: false,
      bytes,
      receivedMs,
      traceparent,
      count,
    },
    devices: () => countedDevices(sendersOf(messages, sender), sender),
    messages: () => messages.map((value: unknown, index) => innerMessage(value, sender, msgid, numbers, index)),
  };
}

/** Yields the device of each message of a batch, not validated: the sender of the batch if it names none. */
function* sendersOf(messages: readonly unknown[], sender: string): Generator<string> {
  for (const message of messages) {
    const { from } = isObject(message) ? (message as UncheckedEnvelope) : {};
    yield typeof from === 'string' && from !== '' ? from : sender;
  }
}

/** Returns a message of a batch, or its error, which does not affect the others. `batchId`: '' for none. */
function innerMessage(
  value: unknown,
  sender: string,
  batchId: string,
  numbers: FrameNumbers,
  index: number,
): DeviceMessage | InvalidMessage {
  let id = '';
  try {
    if (!isObject(value)) throw invalidMessage(`message: expected an object, got ${shown(value)}`);
    id = messageIdOf(value);
    const envelope = envelopeFrom(value, true);
    if (envelope.type !== 'status' && envelope.type !== 'event')
      throw invalidMessage(`type: expected status or event in a batch, got ${envelope.type}`);
    const device = envelope.from === '' ? sender : envelope.from;
    return new EnvelopeMessage(envelope, device, id || innerIdOf(batchId, index), 0, 0, numbers, index);
  } catch (thrown) {
    return { id, error: tailraceErrorFrom(thrown) };
  }
}

/** Returns the ID of a message without one. Throws `invalid_message` if it is too long. */
function innerIdOf(batchId: string, index: number): string {
  if (batchId === '') return '';
  const id = `${batchId}/${index}`;
  const max = reportLimits.idBytesMax;
  if (utf8Bytes(id) <= max) return id;
  throw invalidMessage(`msgid: expected one, or at most ${max} bytes of ${shown(id)} in its place, got none`);
}

const authKeys = ['device', 'token', 'time', 'nonce', 'challenge', 'signature', 'keyId', 'instance'] as const;
const authTextMax = 8_192;

/** Returns the request of an `auth`. Throws `invalid_message`, and `invalid_path` for the device. */
export function authFrom({ payload }: Envelope): AuthRequest {
  for (const key in payload) {
    if (key !== 'protocols' && !(authKeys as readonly string[]).includes(key))
      throw invalidMessage(`payload: expected ${authKeys.join(', ')}, got the unknown key ${shown(key)}`);
  }
  const value = payload as Readonly<Record<string, unknown>>;
  const { device } = value;
  assertDevicePath(device);
  const time = value['time'] ?? 0;
  if (typeof time !== 'number' || !Number.isFinite(time))
    throw invalidMessage(`payload.time: expected milliseconds since 1970, got ${shown(time)}`);
  return {
    device,
    token: textOf(value, 'token', authTextMax),
    time,
    nonce: textOf(value, 'nonce', 64),
    challenge: textOf(value, 'challenge', 64),
    keyId: textOf(value, 'keyId', 64),
    signature: textOf(value, 'signature', 64),
    instance: textOf(value, 'instance', 64),
  };
}

const authProtocolsMax = 16;

/**
 * Returns whether an `auth` announces that its device takes commands; undefined if it announces nothing. Throws
 * `invalid_message`.
 */
export function takesCommandsFrom({ payload }: Envelope): boolean | undefined {
  const { protocols } = payload as { protocols?: unknown };
  if (protocols === undefined || protocols === null) return undefined;
  const isText = (value: unknown) => typeof value === 'string';
  if (Array.isArray(protocols) && protocols.length <= authProtocolsMax && protocols.every(isText))
    return protocols.includes('command');
  throw invalidMessage(
    `payload.protocols: expected a list of at most ${authProtocolsMax} texts, got ${shown(protocols)}`,
  );
}

/** Returns the ID of the command whose receipt an `ack` confirms. Throws `invalid_message`. */
export function receiptFrom({ msgid, payload }: Envelope): string {
  for (const key in payload)
    throw invalidMessage(`payload: expected an empty object in an ack, got the key ${shown(key)}`);
  if (msgid === '') throw invalidMessage('msgid: expected that of the command, got none');
  return msgid;
}

/** Returns the text of a key; '' if it is absent. Its value may be a secret and is in no error. */
function textOf(value: Readonly<Record<string, unknown>>, key: string, charactersMax: number): string {
  const text = value[key] ?? '';
  if (typeof text === 'string' && text.length <= charactersMax && isPlainText(text)) return text;
  const found = typeof text === 'string' ? `${text.length} characters` : typeof text;
  throw invalidMessage(`payload.${key}: expected a text of at most ${charactersMax} characters, got ${found}`);
}

export function invalidMessage(message: string, cause?: unknown): TailraceError {
  return new TailraceError('invalid_message', message, cause === undefined ? {} : { cause });
}
