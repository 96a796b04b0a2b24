import {
  type Accepted,
  type AlarmEvents,
  acceptedFrom,
  alarmEventsFrom,
  type CommandEvents,
  commandEventsFrom,
  type LeaseEvents,
  leaseEventsFrom,
} from './control-event-json.ts';
import { type Cut, cutFrom, cutJson } from './cut-json.ts';
import { type Data, dataFrameJson, dataOf } from './data-frame-json.ts';
import { deliveriesFrom, type UnreadableListener } from './deliveries.ts';
import {
  booleanOf,
  countOf,
  type Fields,
  fieldsOf,
  jsonFrom,
  kindAndFields,
  listFrom,
  numberOf,
  textOf,
} from './message-fields.ts';
import {
  type Interrupted,
  interruptedFrom,
  type Notice,
  noticeFrom,
  type Offline,
  type Online,
  type Restored,
  type Stale,
  staleOrOfflineFrom,
} from './presence.ts';
import { deliveryJson } from './report-json.ts';
import { skippedFrom } from './skipped.ts';

export interface Limits {
  readonly messageBytesMax: number;
  readonly subscriptionsMax: number;
}

/** The server's first message, after it has accepted the token; again after each further `auth`. */
export interface Welcome {
  readonly session: string;
  readonly node: string;
  readonly version: string;
  readonly heartbeatMs: number;
  readonly limits: Limits;
}

export interface Subscribed {
  readonly id: string;
  /** The number of the view in `data`. */
  readonly view: number;
  readonly channel: string;
  readonly epoch: string;
  /** Position token: everything later follows. */
  readonly position: string;
  /** Number of devices in the snapshot, which comes before any other data. */
  readonly snapshot: number;
  /** With `after`: whether everything after it follows. */
  readonly recovered?: boolean;
  /** With `recovered: false`: what does not follow. */
  readonly missing?: readonly Missing[];
}

/** Why a range of positions cannot be delivered; later servers may add more. */
export type MissingReason = 'epoch' | 'retention' | 'too_far' | 'unknown' | 'unreadable';

/** A range of positions of one partition that cannot be delivered. The snapshot has the last values from within it. */
export interface Missing {
  readonly partition: number;
  readonly from: number;
  /** Inclusive. */
  readonly to: number;
  /**
   * `epoch`: the positions are of another log. `retention`: the log has deleted it. `too_far`: more than the server
   * reads for one subscription. `unknown`: the token lacks the partition. `unreadable`: the log cannot decode it.
   */
  readonly reason: string;
}

export interface Unsubscribed {
  readonly id: string;
}

export interface Pong {
  /** Copied from the ping. */
  readonly t: number;
  /** Epoch ms by the server's clock. */
  readonly time: number;
}

export interface Draining {
  /** Time until the server closes the connection with 1012, ms. */
  readonly afterMs: number;
}

export interface ErrorFields {
  /** The subscription that the error is about; absent: the connection. */
  readonly id?: string;
  /** An `ErrorCode`; later servers may add more. */
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  /** The `id` of the message for control that the error is about. */
  readonly request?: string;
}

/** Another node owns the channel's device and serves it at less cost. This node serves it, too. */
export interface Moved {
  readonly channel: string;
  /** ws:// or wss:// */
  readonly url: string;
}

/** The requested history has been sent. From here on, reports are live. */
export interface Live {
  readonly id: string;
  /** Position token. */
  readonly position: string;
}

export interface Paused {
  readonly id: string;
  /** Position token: everything later comes after `resume`. */
  readonly position: string;
}

/** Everything of the view up to the position was sent, or named as missing. */
export interface Progress {
  readonly view: number;
  /** Position token. */
  readonly position: string;
}

/** The token expires: the client sends a new one in `auth`, or the server closes with 4401. */
export interface Expiring {
  readonly inMs: number;
}

/** A message of a server. Its only key is its kind. */
export type ServerMessage =
  | { readonly welcome: Welcome }
  | { readonly subscribed: Subscribed }
  | { readonly data: Data }
  | { readonly unsubscribed: Unsubscribed }
  | { readonly pong: Pong }
  | { readonly draining: Draining }
  | { readonly error: ErrorFields }
  | { readonly moved: Moved }
  | { readonly live: Live }
  | { readonly paused: Paused }
  | { readonly stale: Stale }
  | { readonly online: Online }
  | { readonly offline: Offline }
  | { readonly interrupted: Interrupted }
  | { readonly restored: Restored }
  | { readonly cut: Cut }
  | { readonly expiring: Expiring }
  | { readonly notice: Notice }
  | { readonly progress: Progress }
  | { readonly alarm: AlarmEvents }
  | { readonly command: CommandEvents }
  | { readonly lease: LeaseEvents }
  | { readonly accepted: Accepted };

/** Largest message that a client accepts, a bound of its memory. A server's data frames are far smaller. */
export const serverMessageBytesMax: number = 16 * 1024 * 1024;

export const serverMessageKinds = [
  'welcome',
  'subscribed',
  'data',
  'unsubscribed',
  'pong',
  'draining',
  'error',
  'moved',
  'live',
  'paused',
  'stale',
  'online',
  'offline',
  'interrupted',
  'restored',
  'cut',
  'expiring',
  'notice',
  'progress',
  'alarm',
  'command',
  'lease',
  'accepted',
] as const;

/** Encodes a text frame. For data to many sockets, use `dataFrameJson`. */
export function serverMessageJson(message: ServerMessage): string {
  if ('cut' in message) return cutJson(message.cut);
  if (!('data' in message)) return JSON.stringify(message);
  const { view, reports } = message.data;
  const texts = reports.map((report) => deliveryJson(report, report.partition, report.seq, report.delta));
  return dataFrameJson(view, texts, message.data);
}

/**
 * Parses a text frame. Undefined for a kind of a later server, which a client ignores, as it does unknown fields.
 * Fields that proto3 leaves out may be absent. Throws `too_large`, `invalid_message`; for a report in `data` or `cut`
 * as `deliveriesFrom` does.
 */
export function serverMessageFromJson(text: string, onUnreadable?: UnreadableListener): ServerMessage | undefined {
  const [kind, fields] = kindAndFields(jsonFrom(text, serverMessageBytesMax), 'one kind of message');
  return checkedServerMessage(kind, fields, onUnreadable);
}

/** Validates the value of a kind. Returns undefined, and throws, as `serverMessageFromJson` does. */
export function checkedServerMessage(
  kind: string,
  value: unknown,
  onUnreadable?: UnreadableListener,
): ServerMessage | undefined {
  const fields = fieldsOf(value, kind);
  switch (kind) {
    case 'data':
      return { data: checkedData(fields, onUnreadable) };
    case 'welcome':
      return { welcome: checkedWelcome(fields) };
    case 'subscribed':
      return { subscribed: checkedSubscribed(fields) };
    case 'unsubscribed':
      return { unsubscribed: { id: textOf(fields, 'id', kind) } };
    case 'pong':
      return { pong: { t: numberOf(fields, 't', kind, 0), time: numberOf(fields, 'time', kind, 0) } };
    case 'draining':
      return { draining: { afterMs: countOf(fields, 'afterMs', kind, 0) } };
    case 'error':
      return { error: checkedError(fields) };
    case 'moved':
      return { moved: { channel: textOf(fields, 'channel', kind), url: textOf(fields, 'url', kind) } };
    case 'live':
      return { live: { id: textOf(fields, 'id', kind), position: textOf(fields, 'position', kind, '') } };
    case 'paused':
      return { paused: { id: textOf(fields, 'id', kind), position: textOf(fields, 'position', kind, '') } };
    case 'stale':
      return { stale: staleOrOfflineFrom(fields, kind) };
    case 'online':
      return { online: { device: textOf(fields, 'device', kind) } };
    case 'offline':
      return { offline: staleOrOfflineFrom(fields, kind) };
    case 'interrupted':
      return { interrupted: interruptedFrom(fields) };
    case 'restored':
      return { restored: { view: countOf(fields, 'view', kind, 0) } };
    case 'cut':
      return { cut: cutFrom(fields, onUnreadable) };
    case 'expiring':
      return { expiring: { inMs: numberOf(fields, 'inMs', kind, 0) } };
    case 'notice':
      return { notice: noticeFrom(fields) };
    case 'progress':
      return { progress: { view: countOf(fields, 'view', kind, 0), position: textOf(fields, 'position', kind, '') } };
    case 'alarm':
      return { alarm: alarmEventsFrom(fields) };
    case 'command':
      return { command: commandEventsFrom(fields) };
    case 'lease':
      return { lease: leaseEventsFrom(fields) };
    case 'accepted':
      return { accepted: acceptedFrom(fields) };
    default:
      return undefined;
  }
}

function checkedWelcome(fields: Fields): Welcome {
  const limits = fieldsOf(fields['limits'] ?? {}, 'welcome.limits');
  return {
    session: textOf(fields, 'session', 'welcome', ''),
    node: textOf(fields, 'node', 'welcome', ''),
    version: textOf(fields, 'version', 'welcome', ''),
    heartbeatMs: countOf(fields, 'heartbeatMs', 'welcome', 0),
    limits: {
      messageBytesMax: countOf(limits, 'messageBytesMax', 'welcome.limits', 0),
      subscriptionsMax: countOf(limits, 'subscriptionsMax', 'welcome.limits', 0),
    },
  };
}

function checkedSubscribed(fields: Fields): Subscribed {
  return {
    id: textOf(fields, 'id', 'subscribed'),
    view: countOf(fields, 'view', 'subscribed', 0),
    channel: textOf(fields, 'channel', 'subscribed'),
    epoch: textOf(fields, 'epoch', 'subscribed', ''),
    position: textOf(fields, 'position', 'subscribed', ''),
    snapshot: countOf(fields, 'snapshot', 'subscribed', 0),
    ...(fields['recovered'] == null ? {} : { recovered: booleanOf(fields, 'recovered', 'subscribed') }),
    ...missingOf(fields['missing']),
  };
}

function missingOf(value: unknown): { missing?: readonly Missing[] } {
  const where = 'subscribed.missing';
  const missing = listFrom(value, where).map((each: unknown) => {
    const fields = fieldsOf(each, where);
    return {
      partition: countOf(fields, 'partition', where, 0),
      from: countOf(fields, 'from', where, 0),
      to: countOf(fields, 'to', where, 0),
      reason: textOf(fields, 'reason', where, ''),
    };
  });
  return missing.length === 0 ? {} : { missing };
}

function checkedData(fields: Fields, onUnreadable: UnreadableListener | undefined): Data {
  const view = countOf(fields, 'view', 'data', 0);
  const reports = deliveriesFrom(fields['reports'], 'data.reports', onUnreadable);
  const flags = {
    snapshot: booleanOf(fields, 'snapshot', 'data', false),
    snapshotComplete: booleanOf(fields, 'snapshotComplete', 'data', false),
    replay: booleanOf(fields, 'replay', 'data', false),
    skipped: skippedFrom(fields['skipped']),
  };
  return dataOf(view, reports, flags);
}

function checkedError(fields: Fields): ErrorFields {
  const id = textOf(fields, 'id', 'error', '');
  const error = {
    code: textOf(fields, 'code', 'error', 'internal'),
    message: textOf(fields, 'message', 'error', ''),
    retryable: booleanOf(fields, 'retryable', 'error', false),
  };
  const request = textOf(fields, 'request', 'error', '');
  return { ...(id === '' ? {} : { id }), ...error, ...(request === '' ? {} : { request }) };
}
