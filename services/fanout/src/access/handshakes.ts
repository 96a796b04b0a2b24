import type { BlockList } from 'node:net';
import { addressKey, clientAddress, proxiesFrom } from '@tailrace/platform/client-address';
import { Counter } from '@tailrace/platform/measures';
import type { ErrorCode } from '@tailrace/protocol/error';
import { shown } from '@tailrace/protocol/error';
import { Addresses, type AddressFault, type AddressLimits } from './addresses.ts';
import { RateLimit } from './rate-limit.ts';

export interface HandshakeLimits extends AddressLimits {
  readonly connectionsMax: number;
  /** Of the whole node, a second; twice that at once. */
  readonly handshakesPerSecondMax: number;
  /** Pages that may connect, as their browsers' `Origin`; none: every one. */
  readonly origins: readonly string[];
  /** Addresses and networks whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly string[];
}

/** Every reason for which a handshake is refused: the values of a metric's label. */
export const refusalReasons = [
  'draining',
  'connections',
  'origin',
  'rate',
  'address_rate',
  'address_connections',
] as const;

export type RefusalReason = (typeof refusalReasons)[number];

export interface Refusal {
  readonly reason: RefusalReason;
  readonly status: number;
  readonly code: ErrorCode;
  readonly message: string;
  /** For the header `Retry-After`; undefined: another try would end the same. */
  readonly retryAfterSeconds?: number;
}

export interface Handshake {
  /** As the socket has it. */
  readonly peer: string;
  /** Headers as they came; empty: not there. */
  readonly forwardedFor: string;
  readonly origin: string;
}

/** How often addresses are forgotten that have gone. */
const sweepMs = 10_000;

/** Whether a connection is let in, before anything is spent on it. */
export class Handshakes {
  draining = false;
  readonly addresses: Addresses;
  /** Refusals. A metric may put its own in their place, before the first. */
  readonly counts = Object.fromEntries(refusalReasons.map((reason) => [reason, new Counter()])) as Record<
    RefusalReason,
    Counter
  >;
  readonly #limits: HandshakeLimits;
  readonly #origins: ReadonlySet<string>;
  readonly #trusted: BlockList;
  readonly #rate: RateLimit;
  readonly #now: () => number;
  readonly #connections: () => number;
  #mark = 0;
  /** Refused for the node's rate since it last had room: each is told to come after those before. */
  #turnedAway = 0;
  #sweptAt = 0;

  /** `now`: monotonic ms. Throws `invalid_config` for a proxy that is none. */
  constructor(limits: HandshakeLimits, now: () => number, connections: () => number) {
    this.#limits = limits;
    this.#now = now;
    this.#connections = connections;
    this.#origins = new Set(limits.origins);
    this.#trusted = proxiesFrom(limits.trustedProxies);
    this.#rate = new RateLimit(limits.handshakesPerSecondMax, 2 * limits.handshakesPerSecondMax);
    this.addresses = new Addresses(limits);
  }

  /** Handshakes that count against the rate of the node at this moment; at `recentMax` others are put off. */
  get recent(): number {
    return this.#rate.burst - this.#rate.left(this.#mark, this.#now());
  }

  get recentMax(): number {
    return this.#rate.burst;
  }

  /** The same of the address that has most. */
  get recentOfOneAddress(): number {
    return this.addresses.mostHandshakes(this.#now());
  }

  /** The address to count it under, or why it is not let in. */
  admit(handshake: Handshake): string | Refusal {
    const refusal = this.#refusalOf(handshake);
    if (typeof refusal !== 'string') this.counts[refusal.reason].add();
    return refusal;
  }

  /** Between two of them only handshakes can make more be known. */
  #sweep(nowMs: number): void {
    if (nowMs - this.#sweptAt < sweepMs) return;
    this.#sweptAt = nowMs;
    this.addresses.sweep(nowMs);
  }

  #refusalOf({ peer, forwardedFor, origin }: Handshake): string | Refusal {
    const { connectionsMax, handshakesPerSecondMax } = this.#limits;
    if (this.draining) return unavailable('draining', 'this node is going; try another, or again');
    if (this.#connections() >= connectionsMax) {
      const message = `${connectionsMax} connections are the most this node takes; try another, or again`;
      return unavailable('connections', message);
    }
    if (origin !== '' && this.#origins.size > 0 && !this.#origins.has(origin)) {
      const message = `pages of ${shown(origin)} may not connect here; the setting origins names those that may`;
      return { reason: 'origin', status: 403, code: 'forbidden', message };
    }
    const nowMs = this.#now();
    this.#sweep(nowMs);
    const address = addressKey(clientAddress(peer, forwardedFor, this.#trusted));
    // First, so that one address that storms does not use up what the node takes of all.
    const fault = this.addresses.faultOf(address, nowMs);
    if (fault !== undefined) return this.#addressRefusal(fault, address);
    const mark = this.#rate.take(this.#mark, nowMs);
    if (mark === undefined) {
      // In a storm those who came first come back first.
      const retryAfterSeconds = 1 + Math.floor(this.#turnedAway++ / handshakesPerSecondMax);
      return unavailable('rate', `${handshakesPerSecondMax} handshakes a second are taken here`, retryAfterSeconds);
    }
    this.#mark = mark;
    this.addresses.handshake(address, nowMs);
    if (this.#rate.left(mark, nowMs) > handshakesPerSecondMax) this.#turnedAway = 0;
    return address;
  }

  #addressRefusal(reason: AddressFault, address: string): Refusal {
    const { addressConnectionsMax, addressHandshakesPerSecondMax } = this.#limits;
    const limited = { reason, status: 429, retryAfterSeconds: 1 } as const;
    return reason === 'address_rate'
      ? {
          ...limited,
          code: 'rate_limited',
          message: `${addressHandshakesPerSecondMax} handshakes a second are taken of one address; ${shown(address)} has sent more`,
        }
      : {
          ...limited,
          code: 'limit_reached',
          message: `${shown(address)} has ${addressConnectionsMax} connections, as many as an address may; close one first`,
        };
  }
}

function unavailable(reason: RefusalReason, message: string, retryAfterSeconds = 1): Refusal {
  return { reason, status: 503, code: 'unavailable', message, retryAfterSeconds };
}
