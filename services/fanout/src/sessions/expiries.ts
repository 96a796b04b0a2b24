import { type CloseCode, closeCodes } from '@tailrace/protocol/close';

/** A client whose token expires. */
export interface Expiring {
  /** When its token expires, epoch ms; infinite for never. */
  readonly expiresAt: number;
  /** Set by `Expiries`: when it checks the token next, epoch ms; 0 for never. */
  dueMs: number;
  /** Warns the client that its token expires in `inMs`. */
  expiring(inMs: number): void;
  end(close: CloseCode): void;
}

export interface ExpiryLimits {
  /** A client is warned this long before its token expires; at once if less is left. */
  readonly expiryWarningMs: number;
  /** A token is valid for this long after its `exp`, as in the verifier. */
  readonly tokenClockToleranceMs: number;
}

const bucketMs = 1_000;

/**
 * Closes clients whose token has expired, and warns them before. Clients are in buckets of a second, by the time of
 * their next check, so that no client needs a timer. A tick costs nothing until the first bucket is due. Uses the wall
 * clock, as tokens do; the clock may jump.
 */
export class Expiries {
  readonly #limits: ExpiryLimits;
  readonly #buckets = new Map<number, Set<Expiring>>();
  /** No bucket has a lower key. */
  #first = Number.POSITIVE_INFINITY;

  constructor(limits: ExpiryLimits) {
    this.#limits = limits;
  }

  /** Watches the token of a client. Called again for a new token. */
  watch(client: Expiring, nowMs: number): void {
    this.forget(client);
    const expiryMs = this.#expiryOf(client);
    if (expiryMs === Number.POSITIVE_INFINITY) return;
    const warnMs = expiryMs - this.#limits.expiryWarningMs;
    if (warnMs > nowMs) {
      this.#put(client, warnMs);
    } else {
      this.#put(client, expiryMs);
      client.expiring(Math.max(0, expiryMs - nowMs));
    }
  }

  forget(client: Expiring): void {
    const key = Math.floor(client.dueMs / bucketMs);
    client.dueMs = 0;
    const bucket = this.#buckets.get(key);
    if (bucket?.delete(client) && bucket.size === 0) this.#buckets.delete(key);
  }

  /** Checks the clients that are due. Called once a second. */
  tick(nowMs: number): void {
    if (this.#first * bucketMs > nowMs) return;
    const due = [...this.#buckets.keys()].filter((key) => key * bucketMs <= nowMs);
    for (const key of due) {
      for (const client of [...this.#buckets.get(key)!]) if (client.dueMs <= nowMs) this.#check(client, nowMs);
    }
    this.#first = Number.POSITIVE_INFINITY;
    for (const key of this.#buckets.keys()) this.#first = Math.min(this.#first, key);
  }

  #check(client: Expiring, nowMs: number): void {
    if (this.#expiryOf(client) > nowMs) {
      this.watch(client, nowMs);
      return;
    }
    this.forget(client);
    client.end(closeCodes.unauthorized);
  }

  #expiryOf(client: Expiring): number {
    return client.expiresAt + this.#limits.tokenClockToleranceMs;
  }

  #put(client: Expiring, dueMs: number): void {
    const key = Math.floor(dueMs / bucketMs);
    client.dueMs = dueMs;
    const bucket = this.#buckets.get(key) ?? new Set();
    this.#buckets.set(key, bucket.add(client));
    this.#first = Math.min(this.#first, key);
  }
}
