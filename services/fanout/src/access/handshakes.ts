import type { BlockList } from 'node:net';
import { addressKey, clientAddress, proxiesFrom } from '@tailrace/platform/client-address';
import { Counter } from '@tailrace/platform/measures';
import { RateLimit } from '@tailrace/platform/rate-limit';
import type { ErrorCode } from '@tailrace/protocol/error';
import { shown } from '@tailrace/protocol/error';
import { Addresses, type AddressLimits, type AddressRefusalReason } from './addresses.ts';

export interface HandshakeLimits extends AddressLimits {
  readonly connectionsMax: number;
  /** Handshakes of the whole node a second. The burst is twice that. */
  readonly handshakesPerSecondMax: number;
  /** Values of `Origin` that may connect; none: all. */
  readonly origins: readonly string[];
  /** Addresses and networks whose `X-Forwarded-For` is trusted. */
  readonly trustedProxies: readonly string[];
}

/** Reasons for which a handshake is refused: the values of a metric's label. */
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
  /** For the header `Retry-After`; undefined: a retry would be refused, too. */
  readonly retryAfterSeconds?: number;
}

export interface Handshake {
  /** Remote address of the socket. */
  readonly peer: string;
  /** Headers as received; empty: absent. */
  readonly forwardedFor: string;
  readonly origin: string;
}

/** Interval of `Addresses.sweep`. */
const sweepMs = 10_000;

/** Accepts or refuses handshakes, before the node spends anything else on a connection. */
export class Handshakes {
  draining = false;
  readonly addresses: Addresses;
  /** Refusals. `registerAccessMetrics` replaces the counters before the first handshake. */
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
  /** State of the node's rate, see `RateLimit`. */
  #tatMs = 0;
  /** Handshakes refused for the node's rate since it last had capacity: each has to retry after those before it. */
  #queued = 0;
  #sweptAt = 0;

  /** `now`: monotonic ms. Throws `invalid_config` for an invalid proxy. */
  constructor(limits: HandshakeLimits, now: () => number, connections: () => number) {
    this.#limits = limits;
    this.#now = now;
    this.#connections = connections;
    this.#origins = new Set(limits.origins);
    this.#trusted = proxiesFrom(limits.trustedProxies);
    this.#rate = new RateLimit(limits.handshakesPerSecondMax, 2 * limits.handshakesPerSecondMax);
    this.addresses = new Addresses(limits);
  }

  /** Handshakes that count against the rate of the node now; at `recentMax` further ones are refused. */
  get recent(): number {
    return this.#rate.burst - this.#rate.left(this.#tatMs, this.#now());
  }

  get recentMax(): number {
    return this.#rate.burst;
  }

  /** The same for the address that has most. */
  get recentOfOneAddress(): number {
    return this.addresses.mostHandshakes(this.#now());
  }

  /** Returns the address to count the connection under, or the refusal. */
  admit(handshake: Handshake): string | Refusal {
    const refusal = this.#refusalOf(handshake);
    if (typeof refusal !== 'string') this.counts[refusal.reason].add();
    return refusal;
  }

  /** Between two sweeps, only handshakes add entries. */
  #sweep(nowMs: number): void {
    if (nowMs - this.#sweptAt < sweepMs) return;
    this.#sweptAt = nowMs;
    this.addresses.sweep(nowMs);
  }

  #refusalOf({ peer, forwardedFor, origin }: Handshake): string | Refusal {
    const { connectionsMax, handshakesPerSecondMax } = this.#limits;
    if (this.draining) return unavailable('draining', 'this node is draining; try another, or again');
    if (this.#connections() >= connectionsMax) {
      const message = `expected at most ${connectionsMax} connections of this node, got one more: try another, or again`;
      return unavailable('connections', message);
    }
    if (origin !== '' && this.#origins.size > 0 && !this.#origins.has(origin)) {
      const message = `pages of ${shown(origin)} may not connect here; the setting origins names those that may`;
      return { reason: 'origin', status: 403, code: 'forbidden', message };
    }
    const nowMs = this.#now();
    this.#sweep(nowMs);
    const address = addressKey(clientAddress(peer, forwardedFor, this.#trusted));
    // Before the node's rate, so that a reconnect storm of one address does not use up the rate of all.
    const reason = this.addresses.refusalReason(address, nowMs);
    if (reason !== undefined) return this.#addressRefusal(reason, address);
    const tatMs = this.#rate.take(this.#tatMs, nowMs);
    if (tatMs === undefined) {
      // First come, first served: the handshake that was refused first is retried first.
      const retryAfterSeconds = 1 + Math.floor(this.#queued++ / handshakesPerSecondMax);
      const message = `expected at most ${handshakesPerSecondMax} handshakes a second of this node, got more`;
      return unavailable('rate', message, retryAfterSeconds);
    }
    this.#tatMs = tatMs;
    this.addresses.handshake(address, nowMs);
    if (this.#rate.left(tatMs, nowMs) > handshakesPerSecondMax) this.#queued = 0;
    return address;
  }

  #addressRefusal(reason: AddressRefusalReason, address: string): Refusal {
    const { addressConnectionsMax, addressHandshakesPerSecondMax } = this.#limits;
    const limited = { reason, status: 429, retryAfterSeconds: 1 } as const;
    return reason === 'address_rate'
      ? {
          ...limited,
          code: 'rate_limited',
          message: `expected at most ${addressHandshakesPerSecondMax} handshakes a second of ${shown(address)}, got more`,
        }
      : {
          ...limited,
          code: 'limit_reached',
          message: `expected at most ${addressConnectionsMax} connections of ${shown(address)}, got one more: close one first`,
        };
  }
}

function unavailable(reason: RefusalReason, message: string, retryAfterSeconds = 1): Refusal {
  return { reason, status: 503, code: 'unavailable', message, retryAfterSeconds };
}
