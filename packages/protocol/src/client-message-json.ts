import { shown, TailraceError } from './error.ts';
import {
  allowedFieldsOf,
  booleanOf,
  idBytesMax,
  idOf,
  invalidMessage,
  jsonFrom,
  kindAndFields,
  numberOf,
  textOf,
  unknownKind,
} from './message-fields.ts';
import { patternBytesMax } from './pattern.ts';

/** First message of a connection that brought no token, or a fresh token for an old one. */
export interface Auth {
  readonly token: string;
}

export interface Subscribe {
  /** The client's own name for the subscription, 1 to 64 bytes, unique on the connection. */
  readonly id: string;
  /** Meant to be a pattern, and not checked to be one: what is wrong with it concerns the subscription, not the connection. */
  readonly channel: string;
  /** Last values first. Default true. */
  readonly snapshot?: boolean;
  /** A position token, not yet read: what came after it is wanted first, instead of last values. */
  readonly after?: string;
  /** Epoch ms: what came from then on is replayed first, then joined to what comes now. Not with `after`. */
  readonly from?: number;
  /** With `from`: 1 as fast as it happened. Absent: as fast as the client reads. */
  readonly speed?: number;
  /** Data frames a second at most. */
  readonly maxRate?: number;
  readonly deadband?: Deadband;
  /** Only these readings. */
  readonly tags?: readonly string[];
  /** Only readings that are other than the device's last ones, with key frames. */
  readonly delta?: boolean;
  /** Milliseconds: instead of data, everything of the channel as of one moment, this often. */
  readonly align?: number;
}

/** A number is told only when it differs from the last one told by more than this; of both, the one that tells more often counts. */
export interface Deadband {
  /** In the reading's unit. */
  readonly absolute?: number;
  /** Of the last one told. */
  readonly percent?: number;
}

/** Nothing more of the subscription until `resume`. */
export interface Pause {
  readonly id: string;
}

export interface ResumeMessage {
  readonly id: string;
  /** As in `Subscribe`. */
  readonly speed?: number;
}

export interface Unsubscribe {
  readonly id: string;
}

export interface Ping {
  /** Any finite number; comes back in `pong`. */
  readonly t: number;
}

/** What a client sends: its kind is the one key. */
export type ClientMessage =
  | { readonly auth: Auth }
  | { readonly subscribe: Subscribe }
  | { readonly unsubscribe: Unsubscribe }
  | { readonly ping: Ping }
  | { readonly pause: Pause }
  | { readonly resume: ResumeMessage };

export const clientMessageLimits = {
  /** More than any server can be set to take; what this one takes, 16 KiB unless set otherwise, is in its welcome. */
  messageBytesMax: 1024 * 1024,
  idBytesMax,
  /** What proxies take in a header, where the token may stand instead. */
  tokenCharactersMax: 8192,
} as const;

export const clientMessageKinds = ['auth', 'subscribe', 'unsubscribe', 'ping', 'pause', 'resume'] as const;

const rightKinds = `right is one of ${clientMessageKinds.join(', ')}, as in {"ping":{"t":1}}`;

/** From a text frame. Throws `too_large`, `invalid_message`, and `unauthorized` for a text that is too long or short to be a token. */
export function clientMessageFromJson(text: string): ClientMessage {
  const [kind, fields] = kindAndFields(jsonFrom(text, clientMessageLimits.messageBytesMax), rightKinds);
  return checkedClientMessage(kind, fields);
}

export function clientMessageJson(message: ClientMessage): string {
  return JSON.stringify(message);
}

/** From the kind and what is under it. Throws as `clientMessageFromJson` does. */
export function checkedClientMessage(kind: string, value: unknown): ClientMessage {
  switch (kind) {
    case 'auth':
      return { auth: checkedAuth(value) };
    case 'subscribe':
      return { subscribe: checkedSubscribe(value) };
    case 'unsubscribe':
      return { unsubscribe: { id: idOf(allowedFieldsOf(value, 'unsubscribe', ['id']), 'unsubscribe') } };
    case 'pause':
      return { pause: { id: idOf(allowedFieldsOf(value, 'pause', ['id']), 'pause') } };
    case 'resume':
      return { resume: checkedResume(value) };
    case 'ping':
      return { ping: { t: numberOf(allowedFieldsOf(value, 'ping', ['t']), 't', 'ping') } };
    default:
      throw unknownKind(kind, clientMessageKinds);
  }
}

function checkedAuth(value: unknown): Auth {
  const { token } = allowedFieldsOf(value, 'auth', ['token']);
  const max = clientMessageLimits.tokenCharactersMax;
  const right = `right is a token of 1 to ${max} characters`;
  if (typeof token !== 'string') throw invalidMessage(`auth.token is ${shown(token)}; ${right}`);
  if (token.length > 0 && token.length <= max) return { token };
  // Never the token itself: the message may be logged.
  throw new TailraceError('unauthorized', `auth.token is a text of ${token.length} characters; ${right}`);
}

function checkedResume(value: unknown): ResumeMessage {
  const fields = allowedFieldsOf(value, 'resume', ['id', 'speed']);
  const id = idOf(fields, 'resume');
  return fields['speed'] == null ? { id } : { id, speed: numberOf(fields, 'speed', 'resume') };
}

const subscribeKeys: readonly (keyof Subscribe)[] = [
  'id',
  'channel',
  'snapshot',
  'after',
  'from',
  'speed',
  'maxRate',
  'deadband',
  'tags',
  'delta',
  'align',
];

/** Types only: whether a number makes sense concerns the subscription, not the connection. */
function checkedSubscribe(value: unknown): Subscribe {
  const fields = allowedFieldsOf(value, 'subscribe', subscribeKeys);
  const id = idOf(fields, 'subscribe');
  const { channel, snapshot, after, delta, deadband, tags } = fields;
  if (typeof channel !== 'string' || channel.length > patternBytesMax || !channel.isWellFormed()) {
    throw invalidMessage(`subscribe.channel is ${shown(channel)}; right is a text of at most ${patternBytesMax} bytes`);
  }
  const numbers: { from?: number; speed?: number; maxRate?: number; align?: number } = {};
  for (const key of ['from', 'speed', 'maxRate', 'align'] as const)
    if (fields[key] != null) numbers[key] = numberOf(fields, key, 'subscribe');
  return {
    id,
    channel,
    ...(snapshot == null ? {} : { snapshot: booleanOf(fields, 'snapshot', 'subscribe') }),
    ...(after == null ? {} : { after: textOf(fields, 'after', 'subscribe') }),
    ...numbers,
    ...(deadband == null ? {} : { deadband: checkedDeadband(deadband) }),
    ...(tags == null ? {} : { tags: checkedTags(tags) }),
    ...(delta == null ? {} : { delta: booleanOf(fields, 'delta', 'subscribe') }),
  };
}

function checkedDeadband(value: unknown): Deadband {
  const fields = allowedFieldsOf(value, 'subscribe.deadband', ['absolute', 'percent']);
  const deadband: { absolute?: number; percent?: number } = {};
  for (const key of ['absolute', 'percent'] as const)
    if (fields[key] != null) deadband[key] = numberOf(fields, key, 'subscribe.deadband');
  return deadband;
}

function checkedTags(value: unknown): readonly string[] {
  if (Array.isArray(value) && value.every((tag) => typeof tag === 'string' && tag.isWellFormed())) return value;
  throw invalidMessage(`subscribe.tags is ${shown(value)}; right is an array of texts`);
}
