import { type ErrorCode, errorCodes, shown, TailraceError } from '@tailrace/protocol/error';
import type { Reading } from '@tailrace/protocol/reading';

/*
 * The JSON messages between a device and ingest, as docs/PROTOCOL.md defines them for `GET /v1/device`. Pure functions.
 */

/** What the readings of a message have in common. */
export interface DeviceMessageOptions {
  /** Epoch ms by the clock of the device. Default: the clock of the connection. 0: a device without a clock. */
  readonly time?: number;
  /** The message ID, 1 to 64 bytes, never used again for another message. Default: a new one. */
  readonly id?: string;
  /** The device that reports, of a gateway. Default: the device of the connection. */
  readonly device?: string;
}

/** A report of a device. */
export interface DeviceStatus extends DeviceMessageOptions {
  readonly type: 'status';
  readonly readings: readonly Reading[];
}

/** Something that happened. It is sent before reports that wait, and has its own rate limit. */
export interface DeviceEvent extends DeviceMessageOptions {
  readonly type: 'event';
  /** The tag of its first reading. */
  readonly name: string;
  /** Default: true. */
  readonly value?: Reading['value'];
  readonly readings?: readonly Reading[];
}

export type DeviceMessage = DeviceStatus | DeviceEvent;

/** A message of a batch that is not in the log. */
export interface RejectedMessage {
  readonly index: number;
  readonly code: ErrorCode;
  readonly message: string;
}

/** The answer to a message or a batch. */
export interface DeviceAck {
  /**
   * - `accepted`: it is durable in the log; of a batch, all but `rejected` are.
   * - `duplicate`: it was there before.
   * - `rejected`: it is not in the log, and never will be unless it is sent again and `retryable`.
   * - `lost`: the connection was lost before the answer. Only with `resend: false`.
   */
  readonly status: 'accepted' | 'duplicate' | 'rejected' | 'lost';
  readonly code?: ErrorCode;
  readonly message?: string;
  readonly retryable?: boolean;
  /** Time until it may be sent again, ms. */
  readonly retryAfterMs?: number;
  /** Of a batch. */
  readonly rejected?: readonly RejectedMessage[];
}

export interface Hello {
  readonly node: string;
  /** Epoch ms. */
  readonly time: number;
  readonly challenge: string;
}

/** What the server allows in the session. */
export interface DeviceWelcome {
  readonly session: number;
  /** Messages and batches without an answer. */
  readonly window: number;
  readonly windowBytes: number;
  readonly messageBytesMax: number;
  /** Messages of a batch. */
  readonly batchMax: number;
  readonly messagesPerSecond: number;
}

export interface CommandFrame {
  readonly id: string;
  readonly device: string;
  readonly name: string;
  readonly params: Readonly<Record<string, Reading['value']>>;
  readonly qos: 0 | 1 | 2;
  /** Epoch ms; 0: none. */
  readonly deadline: number;
  readonly expiresInMs: number;
  /** 0: none. */
  readonly fence: number;
}

export interface ErrorFrame {
  readonly error: TailraceError;
  /** 0: none. */
  readonly retryAfterMs: number;
}

export type DeviceFrame =
  | { readonly hello: Hello }
  | { readonly welcome: DeviceWelcome }
  | { readonly ack: DeviceAck; readonly id: string }
  | { readonly command: CommandFrame }
  | { readonly expiring: { readonly inMs: number } }
  | { readonly draining: { readonly afterMs: number } }
  | ErrorFrame;

type Fields = Readonly<Record<string, unknown>>;

/** Returns a message of the server; undefined for a type of a later server. Throws `invalid_message`. */
export function deviceFrameFrom(text: string): DeviceFrame | undefined {
  let frame: unknown;
  try {
    frame = JSON.parse(text);
  } catch (cause) {
    throw new TailraceError('invalid_message', `message: expected JSON, got ${shown(text)}`, { cause });
  }
  const { type, msgid, to, payload = {} } = fieldsOf(frame, 'message');
  const fields = fieldsOf(payload, 'payload');
  const id = typeof msgid === 'string' ? msgid : '';
  switch (type) {
    case 'hello':
      return {
        hello: { node: textOf(fields, 'node'), time: numberOf(fields, 'time'), challenge: textOf(fields, 'challenge') },
      };
    case 'welcome':
      return { welcome: welcomeFrom(fields) };
    case 'ack':
      return { ack: ackFrom(fields), id };
    case 'command':
      return { command: commandFrom(fields, id, typeof to === 'string' ? to : '') };
    case 'expiring':
      return { expiring: { inMs: numberOf(fields, 'inMs') } };
    case 'draining':
      return { draining: { afterMs: numberOf(fields, 'afterMs') } };
    case 'error': {
      const { retryable } = fields;
      const options = typeof retryable === 'boolean' ? { retryable } : {};
      const error = new TailraceError(codeOf(fields), textOf(fields, 'message', ''), options);
      return { error, retryAfterMs: numberOf(fields, 'retryAfterMs', 0) };
    }
    default:
      return undefined;
  }
}

/** Returns the text of a message. `time`: of a message without one. */
export function messageText(message: DeviceMessage, id: string, qos: 0 | 1 | 2, time: number): string {
  return JSON.stringify({ ...envelopeOf(message, id, time), qos });
}

/** Returns the text of a batch of messages, each with an ID. */
export function batchText(messages: readonly DeviceMessage[], id: string, time: number): string {
  const envelopes = messages.map((message) => envelopeOf(message, message.id, time));
  return JSON.stringify({ type: 'batch', msgid: id, payload: { messages: envelopes } });
}

function envelopeOf(message: DeviceMessage, id: string | undefined, now: number): object {
  const { type, device: from, time = now, readings } = message;
  const payload = type === 'status' ? { readings } : { name: message.name, value: message.value, readings };
  // JSON.stringify leaves out undefined fields.
  return { type, msgid: id, timestamp: time === 0 ? undefined : time, from, payload };
}

function welcomeFrom(fields: Fields): DeviceWelcome {
  return {
    session: numberOf(fields, 'session'),
    window: numberOf(fields, 'window'),
    windowBytes: numberOf(fields, 'windowBytes'),
    messageBytesMax: numberOf(fields, 'messageBytesMax'),
    batchMax: numberOf(fields, 'batchMax'),
    messagesPerSecond: numberOf(fields, 'messagesPerSecond'),
  };
}

function ackFrom(fields: Fields): DeviceAck {
  const { status = 'accepted', message, retryable, rejected } = fields;
  if (status !== 'accepted' && status !== 'duplicate' && status !== 'rejected') {
    const expected = 'accepted, duplicate or rejected';
    throw new TailraceError('invalid_message', `payload.status: expected ${expected}, got ${shown(status)}`);
  }
  return {
    status,
    ...(status === 'rejected' && { code: codeOf(fields), retryable: retryable === true }),
    ...(typeof message === 'string' && { message }),
    ...(fields['retryAfterMs'] !== undefined && { retryAfterMs: numberOf(fields, 'retryAfterMs') }),
    ...(Array.isArray(rejected) && { rejected: rejected.map(rejectedFrom) }),
  };
}

function rejectedFrom(value: unknown): RejectedMessage {
  const fields = fieldsOf(value, 'payload.rejected[]');
  return { index: numberOf(fields, 'index'), code: codeOf(fields), message: textOf(fields, 'message', '') };
}

/** Returns a command from its fields. `device`: '' for the one of the connection. Throws `invalid_message`. */
export function commandFrom(fields: Fields, id: string, device: string): CommandFrame {
  const { params = {}, qos = 1 } = fields;
  return {
    id,
    device,
    name: textOf(fields, 'name'),
    params: fieldsOf(params, 'payload.params') as CommandFrame['params'],
    qos: qos === 0 || qos === 2 ? qos : 1,
    deadline: numberOf(fields, 'deadline', 0),
    expiresInMs: numberOf(fields, 'expiresInMs'),
    fence: numberOf(fields, 'fence', 0),
  };
}

function fieldsOf(value: unknown, name: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new TailraceError('invalid_message', `${name}: expected an object, got ${shown(value)}`);
}

function textOf(fields: Fields, name: string, fallback?: string): string {
  const value = fields[name] ?? fallback;
  if (typeof value === 'string') return value;
  throw new TailraceError('invalid_message', `payload.${name}: expected a text, got ${shown(value)}`);
}

function numberOf(fields: Fields, name: string, fallback?: number): number {
  const value = fields[name] ?? fallback;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new TailraceError('invalid_message', `payload.${name}: expected a number, got ${shown(value)}`);
}

/** A code of a later server counts as `internal`. */
function codeOf({ code }: Fields): ErrorCode {
  return (errorCodes as readonly unknown[]).includes(code) ? (code as ErrorCode) : 'internal';
}
