import { type Cut, cutFrom, cutJson } from './cutjson.ts';
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
  silenceFrom,
} from './presence.ts';
import { deliveryJson } from './report-json.ts';
import { skippedFrom } from './skipped.ts';

export interface Limits {
  readonly messageBytesMax: number;
  readonly subscriptionsMax: number;
}

/** First message of the server, once the token holds; again after each further `auth`. */
export interface Welcome {
  readonly session: string;
  readonly node: string;
  readonly version: string;
  readonly heartbeatMs: number;
  readonly limits: Limits;
}

export interface Subscribed {
  readonly id: string;
  /** The number under which the data comes. */
  readonly view: number;
  readonly channel: string;
  readonly epoch: string;
  /** Token: everything later than this follows. */
  readonly position: string;
  /** Devices in the snapshot that follows, before any other data. */
  readonly snapshot: number;
  /** Where the subscription had `after`: whether everything after it follows. */
  readonly recovered?: boolean;
  /** Where not everything does: what does not. */
  readonly missing?: readonly Missing[];
}

/** Why a range of positions cannot be delivered; a later server may know more. */
export type MissingReason = 'epoch' | 'retention' | 'too_far' | 'unknown' | 'unreadable';

/** A range of positions of one partition that cannot be delivered. The last values from within it are in the snapshot. */
export interface Missing {
  readonly partition: number;
  readonly from: number;
  /** Inclusive. */
  readonly to: number;
  /**
   * `epoch`: the positions are of another log. `retention`: the log no longer has it. `too_far`: more than the server reads back for one
   * subscription. `unknown`: the token says nothing of the partition. `unreadable`: the log has it and cannot read it.
   */
  readonly reason: string;
}

export interface Unsubscribed {
  readonly id: string;
}

export interface Pong {
  /** As the ping had it. */
  readonly t: number;
  /** The server's clock, epoch ms. */
  readonly time: number;
}

export interface Draining {
  /** The server closes after this long, with 1012. */
  readonly afterMs: number;
}

export interface ErrorFields {
  /** Of the subscription it is about; absent: the connection. */
  readonly id?: string;
  /** An ErrorCode; a later server may know more. */
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
}

/** The channel's device lives on another node: there it costs less. Here it is served all the same. */
export interface Moved {
  readonly channel: string;
  /** ws:// or wss:// */
  readonly url: string;
}

/** What was asked for of the past has been sent: from here on it comes as it happens. */
export interface Live {
  readonly id: string;
  /** Token. */
  readonly position: string;
}

export interface Paused {
  readonly id: string;
  /** Token: everything later comes after `resume`. */
  readonly position: string;
}

/** The token ends: a fresh one is due in `auth`, or the server closes with 4401. */
export interface Expiring {
  readonly inMs: number;
}

/** What a server sends: its kind is the one key. */
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
  | { readonly notice: Notice };

/** What a client takes from a server. A server's data frames are far smaller; this only keeps nonsense from filling the memory. */
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
] as const;

/** For a text frame. Data that many sockets get goes by `dataFrameJson`. */
export function serverMessageJson(message: ServerMessage): string {
  if ('cut' in message) return cutJson(message.cut);
  if (!('data' in message)) return JSON.stringify(message);
  const { view, reports } = message.data;
  const texts = reports.map((report) => deliveryJson(report, report.partition, report.seq, report.delta));
  return dataFrameJson(view, texts, message.data);
}

/**
 * From a text frame. Undefined for a kind that only a later server knows: pass it over. So are fields. What proto3 would leave out may be left
 * out. Throws `too_large`, `invalid_message`; for a report in `data` or `cut` as `deliveriesFrom`.
 */
export function serverMessageFromJson(text: string, onUnreadable?: UnreadableListener): ServerMessage | undefined {
  const [kind, fields] = kindAndFields(jsonFrom(text, serverMessageBytesMax), 'right is one kind of message');
  return checkedServerMessage(kind, fields, onUnreadable);
}

/** From the kind and what is under it. Undefined, and throws, as `serverMessageFromJson`. */
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
      return { stale: silenceFrom(fields, kind) };
    case 'online':
      return { online: { device: textOf(fields, 'device', kind) } };
    case 'offline':
      return { offline: silenceFrom(fields, kind) };
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
  const marks = {
    snapshot: booleanOf(fields, 'snapshot', 'data', false),
    snapshotComplete: booleanOf(fields, 'snapshotComplete', 'data', false),
    replay: booleanOf(fields, 'replay', 'data', false),
    skipped: skippedFrom(fields['skipped']),
  };
  return dataOf(view, reports, marks);
}

function checkedError(fields: Fields): ErrorFields {
  const id = textOf(fields, 'id', 'error', '');
  const error = {
    code: textOf(fields, 'code', 'error', 'internal'),
    message: textOf(fields, 'message', 'error', ''),
    retryable: booleanOf(fields, 'retryable', 'error', false),
  };
  return id === '' ? error : { id, ...error };
}
