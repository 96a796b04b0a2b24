import { shown, TailraceError } from '@tailrace/protocol/error';
import type { OutboundMessage, OutboundProperties } from './publish.ts';
import { SendWindow } from './send-window.ts';

export interface Subscription {
  /** The granted QoS: nothing is sent at QoS 2. */
  readonly qos: 0 | 1;
  /** MQTT 5: whether messages keep their retain flag. */
  readonly retainAsPublished: boolean;
}

/** A message of QoS 2 of the peer, from its PUBLISH to its PUBREL. */
export interface Exchange {
  /** The ID of the report: the same at each attempt to append it. */
  readonly id: string;
  /**
   * `appending`: its outcome is not known yet. `confirmed`: the log has it; it is never appended again. `unknown`: it
   * was being appended on another node; a repeated message is appended again, with the same ID.
   */
  state: 'appending' | 'confirmed' | 'unknown';
  /** The messages of the connection that settles it. */
  by: object | undefined;
  /** The messages of the connection on which its PUBLISH came last; undefined: on another node. */
  of: object | undefined;
  /** Whether `SessionState.checkExchanges` has found it without a PUBREL before. */
  isChecked: boolean;
}

/** A message of QoS 1 whose connection was closed before its PUBACK. */
export interface Unacknowledged {
  /** The messages of the connection that settles it. */
  by: object | undefined;
  /** Undefined until the outcome is known. */
  reason: number | undefined;
}

/** The connection of a session, for outcomes of messages that came on an earlier one. */
export interface SessionConnection {
  settledEarlier(packetId: number, qos: 1 | 2, reason: number, reasonString: string | undefined): void;
}

/** What survives a connection (section 4.1). Made on first use: an idle device has subscriptions at most. */
export class SessionState {
  /** By filter. */
  subscriptions: Map<string, Subscription> | undefined;
  /** Messages of QoS 2 of the peer, by packet identifier. */
  exchanges: Map<number, Exchange> | undefined;
  /** Messages of QoS 1 of earlier connections, by packet identifier. */
  unacknowledged: Map<number, Unacknowledged> | undefined;
  window: SendWindow | undefined;
  connection: SessionConnection | undefined;

  /** Returns the window of own messages. `unackedMax` counts for a new one. */
  windowOf(unackedMax: number): SendWindow {
    this.window ??= new SendWindow(unackedMax);
    return this.window;
  }

  /**
   * Checks the exchanges that wait for the client since the last call. Returns whether one of this connection has had
   * no PUBREL. Those of earlier connections are forgotten: a client that remembers one repeats its PUBLISH or PUBREL as
   * soon as it connects again (MQTT-4.4.0-1). `messages`: of this connection; undefined: nothing was published on it.
   */
  checkExchanges(messages: object | undefined): boolean {
    let isOverdue = false;
    for (const [packetId, exchange] of this.exchanges ?? []) {
      if (exchange.state === 'appending') continue;
      if (!exchange.isChecked) exchange.isChecked = true;
      else if (exchange.of !== undefined && exchange.of === messages) isOverdue = true;
      else this.exchanges!.delete(packetId);
    }
    return isOverdue;
  }
}

/** The most bytes of an encoded session. */
export const sessionBytesMax = 65_536;
const formatVersion = 1;

type PlainMessage = [
  packetId: number,
  topic: string,
  payload: string,
  retain: boolean,
  expiresAtMs: number | null,
  properties: PlainProperties | null,
];

interface PlainProperties {
  isText?: boolean;
  contentType?: string;
  responseTopic?: string;
  correlationData?: string;
  userProperties?: [string, string][];
}

interface PlainSession {
  format: number;
  subscriptions: [string, 0 | 1, boolean][];
  exchanges: [number, string, boolean][];
  unackedMax: number;
  sent: PlainMessage[];
}

/**
 * Returns a session as JSON, for another node. Messages that are being appended become `unknown` there. Throws
 * `too_large` above 64 KiB.
 */
export function encodeSession(session: SessionState): Buffer {
  const plain: PlainSession = {
    format: formatVersion,
    subscriptions: Array.from(session.subscriptions ?? [], ([filter, { qos, retainAsPublished }]) => [
      filter,
      qos,
      retainAsPublished,
    ]),
    exchanges: Array.from(session.exchanges ?? [], ([packetId, { id, state }]) => [
      packetId,
      id,
      state === 'confirmed',
    ]),
    unackedMax: session.window?.unackedMax ?? 0,
    sent: (session.window?.unacknowledged() ?? []).map(({ packetId, message }) => [
      packetId,
      message.topic,
      Buffer.from(message.payload).toString('base64'),
      message.retain === true,
      message.expiresAtMs ?? null,
      message.properties === undefined ? null : plainProperties(message.properties),
    ]),
  };
  const bytes = Buffer.from(JSON.stringify(plain));
  if (bytes.length > sessionBytesMax) {
    throw new TailraceError('too_large', `session: expected at most ${sessionBytesMax} bytes, got ${bytes.length}`);
  }
  return bytes;
}

function plainProperties(properties: OutboundProperties): PlainProperties {
  const { isText, contentType, responseTopic, correlationData, userProperties } = properties;
  return {
    ...(isText === undefined ? {} : { isText }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(responseTopic === undefined ? {} : { responseTopic }),
    ...(correlationData === undefined ? {} : { correlationData: Buffer.from(correlationData).toString('base64') }),
    ...(userProperties === undefined ? {} : { userProperties: userProperties.map(([name, value]) => [name, value]) }),
  };
}

/** Reads what `encodeSession` has written. Throws `invalid_message` for anything else. */
export function decodeSession(bytes: Uint8Array): SessionState {
  if (bytes.length > sessionBytesMax) throw invalid(`at most ${sessionBytesMax} bytes`, bytes.length);
  let plain: unknown;
  try {
    plain = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString());
  } catch {
    throw invalid('JSON', 'other bytes');
  }
  const session = new SessionState();
  const { format, subscriptions, exchanges, unackedMax, sent } = objectFrom(plain);
  if (format !== formatVersion) throw invalid(`format ${formatVersion}`, format);
  for (const row of arrayFrom(subscriptions)) {
    const [filter, qos, retainAsPublished] = arrayFrom(row);
    if (qos !== 0 && qos !== 1) throw invalid('QoS 0 or 1', qos);
    session.subscriptions ??= new Map();
    session.subscriptions.set(textFrom(filter), { qos, retainAsPublished: retainAsPublished === true });
  }
  for (const row of arrayFrom(exchanges)) {
    const [packetId, id, isConfirmed] = arrayFrom(row);
    session.exchanges ??= new Map();
    const state = isConfirmed === true ? 'confirmed' : 'unknown';
    session.exchanges.set(packetIdFrom(packetId), {
      id: textFrom(id),
      state,
      by: undefined,
      of: undefined,
      isChecked: false,
    });
  }
  const messages = arrayFrom(sent);
  if (messages.length === 0) return session;
  const window = session.windowOf(wholeFrom(unackedMax));
  for (const row of messages) {
    const [packetId, topic, payload, retain, expiresAtMs, properties] = arrayFrom(row);
    const message: OutboundMessage = {
      topic: textFrom(topic),
      payload: Buffer.from(textFrom(payload), 'base64'),
      qos: 1,
      retain: retain === true,
      ...(expiresAtMs === null ? {} : { expiresAtMs: wholeFrom(expiresAtMs) }),
      ...(properties === null ? {} : { properties: propertiesFrom(properties) }),
    };
    window.restore(packetIdFrom(packetId), message);
  }
  return session;
}

function propertiesFrom(plain: unknown): OutboundProperties {
  const { isText, contentType, responseTopic, correlationData, userProperties } = objectFrom(plain);
  return {
    ...(isText === undefined ? {} : { isText: isText === true }),
    ...(contentType === undefined ? {} : { contentType: textFrom(contentType) }),
    ...(responseTopic === undefined ? {} : { responseTopic: textFrom(responseTopic) }),
    ...(correlationData === undefined ? {} : { correlationData: Buffer.from(textFrom(correlationData), 'base64') }),
    ...(userProperties === undefined ? {} : { userProperties: arrayFrom(userProperties).map(pairFrom) }),
  };
}

function pairFrom(value: unknown): [string, string] {
  const [name, text] = arrayFrom(value);
  return [textFrom(name), textFrom(text)];
}

function objectFrom(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('an object', value);
  return value as Record<string, unknown>;
}

function arrayFrom(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw invalid('an array', value);
  return value;
}

function textFrom(value: unknown): string {
  if (typeof value !== 'string') throw invalid('a text', value);
  return value;
}

function wholeFrom(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw invalid('a whole number', value);
  return value as number;
}

function packetIdFrom(value: unknown): number {
  const packetId = wholeFrom(value);
  if (packetId < 1 || packetId > 65_535) throw invalid('a packet identifier of 1 to 65535', packetId);
  return packetId;
}

function invalid(expected: string, got: unknown): TailraceError {
  return new TailraceError('invalid_message', `session: expected ${expected}, got ${shown(got)}`);
}
