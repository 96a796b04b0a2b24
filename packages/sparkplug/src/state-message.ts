import { shown, TailraceError } from '@tailrace/protocol/error';
import { isObject } from '@tailrace/protocol/reading';
import type { OutboundMessage } from './outbound-message.ts';
import { stateTopicOf } from './topic.ts';

/** The state of a host: whether it is connected, and since when. */
export interface HostStatus {
  readonly online: boolean;
  /** Epoch ms. The same in the will of a connection and in the birth that follows. */
  readonly timestamp: number;
}

const utf8 = new TextEncoder();
const textFrom = new TextDecoder('utf-8', { fatal: true });

/** Valid ones have about 50 bytes. */
const stateBytesMax = 1_024;

/** Returns the STATE message of a host: retained, QoS 1. */
export function stateMessage(host: string, { online, timestamp }: HostStatus): OutboundMessage {
  const payload = utf8.encode(JSON.stringify({ online, timestamp }));
  return { topic: stateTopicOf(host), payload, qos: 1, retain: true };
}

/** Parses the payload of a STATE message. Throws `invalid_message` for another form, such as that of Sparkplug 2. */
export function parseState(payload: Uint8Array): HostStatus {
  const value = payload.length <= stateBytesMax ? parsedJson(payload) : undefined;
  const { online, timestamp } = isObject(value) ? (value as Record<string, unknown>) : {};
  if (typeof online === 'boolean' && Number.isSafeInteger(timestamp)) return { online, timestamp: timestamp as number };
  throw new TailraceError(
    'invalid_message',
    `STATE: expected JSON as in {"online":true,"timestamp":1700000000000}, got ${shown(value ?? `${payload.length} bytes`)}`,
  );
}

function parsedJson(payload: Uint8Array): unknown {
  try {
    return JSON.parse(textFrom.decode(payload));
  } catch {
    return undefined;
  }
}

/** No more often is the state of a connected host published again. */
const repeatMs = 1_000;

/**
 * The STATE of a primary host at one broker. Every client can publish to its topic, and nodes stop sending when it
 * states `online` false. So the host publishes its birth again for any other message there, at most once a second.
 *
 * Pure: the caller passes the time in epoch ms, publishes what it gets, and calls `tick` at `dueMs`.
 */
export class HostState {
  /** Messages of other clients on the topic of this host. */
  overwritten = 0;
  readonly #host: string;
  /** Undefined: not connected. */
  #current: HostStatus | undefined;
  #publishedMs = 0;
  #dueMs: number | undefined;

  constructor(host: string) {
    stateTopicOf(host);
    this.#host = host;
  }

  /** When `tick` must be called; undefined: not at all. */
  get dueMs(): number | undefined {
    return this.#dueMs;
  }

  /** Returns the will of a new connection. Every connection has its own timestamp. */
  connecting(nowMs: number): OutboundMessage {
    this.#current = { online: true, timestamp: nowMs };
    this.#dueMs = undefined;
    return stateMessage(this.#host, { online: false, timestamp: nowMs });
  }

  /** Returns the birth, which is published when the broker has confirmed the subscriptions. */
  subscribed(nowMs: number): OutboundMessage | undefined {
    return this.#current === undefined ? undefined : this.#birth(this.#current, nowMs);
  }

  /** Checks a message on the topic of this host. Returns the birth if it must be published now. */
  received(payload: Uint8Array, nowMs: number): OutboundMessage | undefined {
    const current = this.#current;
    if (current === undefined || this.#isOwn(payload, current)) return undefined;
    this.overwritten++;
    this.#dueMs ??= Math.max(nowMs, this.#publishedMs + repeatMs);
    return this.tick(nowMs);
  }

  /** Returns the birth if it is due again. */
  tick(nowMs: number): OutboundMessage | undefined {
    if (this.#current === undefined || this.#dueMs === undefined || nowMs < this.#dueMs) return undefined;
    return this.#birth(this.#current, nowMs);
  }

  /** Returns the death, which is published and confirmed before an intended disconnect. */
  disconnecting(nowMs: number): OutboundMessage {
    this.disconnected();
    return stateMessage(this.#host, { online: false, timestamp: nowMs });
  }

  /** The connection was lost: the broker publishes the will. */
  disconnected(): void {
    this.#current = undefined;
    this.#dueMs = undefined;
  }

  #birth(current: HostStatus, nowMs: number): OutboundMessage {
    this.#publishedMs = nowMs;
    this.#dueMs = undefined;
    return stateMessage(this.#host, current);
  }

  #isOwn(payload: Uint8Array, current: HostStatus): boolean {
    try {
      const { online, timestamp } = parseState(payload);
      return online && timestamp === current.timestamp;
    } catch {
      return false;
    }
  }
}
