import { shown, TailraceError } from './error.ts';
import { tailrace } from './generated/tailrace.js';
import {
  assertSize,
  booleanOf,
  fieldsOf,
  idBytesMax,
  idOf,
  invalidMessage,
  jsonFrom,
  kindAndFields,
  numberOf,
  textOf,
  unknownKind,
} from './messagefields.ts';
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
  | { readonly ping: Ping };

export const clientMessageLimits = {
  /** More than any server can be set to take; what this one takes, 16 KiB unless set otherwise, is in its welcome. */
  messageBytesMax: 1024 * 1024,
  idBytesMax,
  /** What proxies take in a header, where the token may stand instead. */
  tokenCharactersMax: 8192,
} as const;

const kinds = ['auth', 'subscribe', 'unsubscribe', 'ping'] as const;

/** From a text frame. Throws `too_large`, `invalid_message`, and `unauthorized` for a text that is too long or short to be a token. */
export function clientMessageFromJson(text: string): ClientMessage {
  const [kind, fields] = kindAndFields(jsonFrom(text, clientMessageLimits.messageBytesMax), kinds);
  return checkedMessage(kind, fields);
}

/** From a binary frame. Throws as `clientMessageFromJson` does. Fields and kinds unknown here are skipped, as Protobuf has it. */
export function clientMessageFromBytes(bytes: Uint8Array): ClientMessage {
  assertSize(bytes.length, clientMessageLimits.messageBytesMax);
  let message: tailrace.v1.ClientMessage;
  try {
    message = tailrace.v1.ClientMessage.decode(bytes);
  } catch (cause) {
    throw invalidMessage(
      `${bytes.length} bytes are not a Protobuf ClientMessage; right is one message a binary frame`,
      cause,
    );
  }
  const { auth, subscribe, unsubscribe, ping } = message;
  if (auth) return checkedMessage('auth', { token: auth.token });
  if (subscribe) {
    // An absent optional field is null in what protobufjs decodes, and null is absent here.
    const { id, channel, snapshot, after } = subscribe;
    return checkedMessage('subscribe', { id, channel, snapshot, after: after === '' ? undefined : after });
  }
  if (unsubscribe) return checkedMessage('unsubscribe', { id: unsubscribe.id });
  if (ping) return checkedMessage('ping', { t: ping.t });
  throw invalidMessage(`the message is none of those known here; right is one of ${kinds.join(', ')}`);
}

export function clientMessageJson(message: ClientMessage): string {
  return JSON.stringify(message);
}

export function clientMessageBytes(message: ClientMessage): Uint8Array {
  return tailrace.v1.ClientMessage.encode(message).finish();
}

function checkedMessage(kind: string, value: unknown): ClientMessage {
  switch (kind) {
    case 'auth':
      return { auth: checkedAuth(value) };
    case 'subscribe':
      return { subscribe: checkedSubscribe(value) };
    case 'unsubscribe':
      return { unsubscribe: { id: idOf(fieldsOf(value, 'unsubscribe', ['id']), 'unsubscribe') } };
    case 'ping':
      return { ping: { t: numberOf(fieldsOf(value, 'ping', ['t']), 't', 'ping') } };
    default:
      throw unknownKind(kind, kinds);
  }
}

function checkedAuth(value: unknown): Auth {
  const { token } = fieldsOf(value, 'auth', ['token']);
  const max = clientMessageLimits.tokenCharactersMax;
  const right = `right is a token of 1 to ${max} characters`;
  if (typeof token !== 'string') throw invalidMessage(`auth.token is ${shown(token)}; ${right}`);
  if (token.length > 0 && token.length <= max) return { token };
  // Never the token itself: the message may be logged.
  throw new TailraceError('unauthorized', `auth.token is a text of ${token.length} characters; ${right}`);
}

function checkedSubscribe(value: unknown): Subscribe {
  const fields = fieldsOf(value, 'subscribe', ['id', 'channel', 'snapshot', 'after']);
  const id = idOf(fields, 'subscribe');
  const { channel, snapshot, after } = fields;
  if (typeof channel !== 'string' || channel.length > patternBytesMax || !channel.isWellFormed()) {
    throw invalidMessage(`subscribe.channel is ${shown(channel)}; right is a text of at most ${patternBytesMax} bytes`);
  }
  return {
    id,
    channel,
    ...(snapshot == null ? {} : { snapshot: booleanOf(fields, 'snapshot', 'subscribe') }),
    ...(after == null ? {} : { after: textOf(fields, 'after', 'subscribe') }),
  };
}
