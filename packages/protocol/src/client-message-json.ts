import { type ControlMessage, controlMessageFrom, controlMessageKinds } from './control-message-json.ts';
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

/** The first message of a connection without a token in its handshake; later, a new token. */
export interface Auth {
  readonly token: string;
}

export interface Subscribe {
  /** The client's name for the subscription, 1 to 64 bytes, unique on the connection. */
  readonly id: string;
  /** A pattern, not yet validated: an invalid one fails the subscription, not the connection. */
  readonly channel: string;
  /** Whether last values come first. Default true. */
  readonly snapshot?: boolean;
  /** A position token, not yet parsed: reports after it come first, instead of last values. */
  readonly after?: string;
  /** Epoch ms by ingest's clock: reports since then are replayed before live ones. Not with `after`. */
  readonly from?: number;
  /** With `from`: 1 replays in real time. Absent: as fast as the client reads. */
  readonly speed?: number;
  /** Data frames per second, at most. */
  readonly maxRate?: number;
  readonly deadband?: Deadband;
  /** Selects readings with these tags. */
  readonly tags?: readonly string[];
  /** Sends only readings that differ from the device's last ones, with key frames. */
  readonly delta?: boolean;
  /** Sends consistent cuts of the channel instead of data, at this interval, ms. */
  readonly align?: number;
  /** Sends the alarms of the channel that are not normal, then each transition, instead of data. */
  readonly alarms?: boolean;
  /** Sends the commands in progress and the leases of the channel, then each transition, instead of data. */
  readonly commands?: boolean;
}

/**
 * Sends a number only when it differs from the last one sent by more than this. Of both, the smaller threshold applies.
 */
export interface Deadband {
  /** In the reading's unit. */
  readonly absolute?: number;
  /** Of the last number sent. */
  readonly percent?: number;
}

/** Stops delivery to the subscription until `resume`. */
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
  /** Any finite number; `pong` returns it. */
  readonly t: number;
}

/** A message of a client. Its only key is its kind. */
export type ClientMessage =
  | { readonly auth: Auth }
  | { readonly subscribe: Subscribe }
  | { readonly unsubscribe: Unsubscribe }
  | { readonly ping: Ping }
  | { readonly pause: Pause }
  | { readonly resume: ResumeMessage }
  | ControlMessage;

export const clientMessageLimits = {
  /** The largest limit that a server can be configured with. `welcome` has the server's own, 16 KiB by default. */
  messageBytesMax: 1024 * 1024,
  idBytesMax,
  /** Proxies accept headers of this size, where the token may be instead. */
  tokenCharactersMax: 8192,
} as const;

export const clientMessageKinds = [
  'auth',
  'subscribe',
  'unsubscribe',
  'ping',
  'pause',
  'resume',
  ...controlMessageKinds,
] as const;

const expectedKinds = `one of ${clientMessageKinds.join(', ')}, as in {"ping":{"t":1}}`;

/**
 * Parses a text frame. Throws `too_large`, `invalid_message`, and `unauthorized` for a token that is empty or too
 * long.
 */
export function clientMessageFromJson(text: string): ClientMessage {
  const [kind, fields] = kindAndFields(jsonFrom(text, clientMessageLimits.messageBytesMax), expectedKinds);
  return checkedClientMessage(kind, fields);
}

export function clientMessageJson(message: ClientMessage): string {
  return JSON.stringify(message);
}

/** Validates the value of a kind. Throws as `clientMessageFromJson` does. */
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
    default: {
      const message = controlMessageFrom(kind, value);
      if (message === undefined) throw unknownKind(kind, clientMessageKinds);
      return message;
    }
  }
}

function checkedAuth(value: unknown): Auth {
  const { token } = allowedFieldsOf(value, 'auth', ['token']);
  const max = clientMessageLimits.tokenCharactersMax;
  const expected = `auth.token: expected a token of 1 to ${max} characters`;
  if (typeof token !== 'string') throw invalidMessage(`${expected}, got ${shown(token)}`);
  if (token.length > 0 && token.length <= max) return { token };
  // Without the token: the message may be logged.
  throw new TailraceError('unauthorized', `${expected}, got ${token.length} characters`);
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
  'alarms',
  'commands',
];

/** Validates types only: a number out of range fails the subscription, not the connection. */
function checkedSubscribe(value: unknown): Subscribe {
  const fields = allowedFieldsOf(value, 'subscribe', subscribeKeys);
  const id = idOf(fields, 'subscribe');
  const { channel, snapshot, after, delta, deadband, tags, alarms, commands } = fields;
  if (typeof channel !== 'string' || channel.length > patternBytesMax || !channel.isWellFormed()) {
    throw invalidMessage(
      `subscribe.channel: expected a text of at most ${patternBytesMax} bytes, got ${shown(channel)}`,
    );
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
    ...(alarms == null ? {} : { alarms: booleanOf(fields, 'alarms', 'subscribe') }),
    ...(commands == null ? {} : { commands: booleanOf(fields, 'commands', 'subscribe') }),
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
  throw invalidMessage(`subscribe.tags: expected an array of texts, got ${shown(value)}`);
}
