import { type CloseCode, closeCodes } from '@tailrace/protocol/close';

/** A client whose token ends. */
export interface Expiring {
  /** Epoch ms; infinite for never. */
  readonly expiresAt: number;
  /** Kept by `Expiries`: epoch ms of its next look at it; 0 for none. */
  dueMs: number;
  /** Tells the client that its token holds for so long yet. */
  expiring(inMs: number): void;
  end(close: CloseCode): void;
}

export interface ExpiryLimits {
  /** The client is told this long before its token ends; at once where it has less left. */
  readonly expiryWarningMs: number;
  /** A token holds for so long after its `exp`, here as in the verifier. */
  readonly tokenClockToleranceMs: number;
}

const bucketMs = 1_000;

/**
 * Clients by the second in which their token wants a look: first to warn, then to end. Each is in one bucket at a time, so that nobody has a
 * timer; a beat costs nothing until the first bucket is due. By the wall clock, as tokens are, whichever way it jumps.
 */
export class Expiries {
  readonly #limits: ExpiryLimits;
  readonly #buckets = new Map<number, Set<Expiring>>();
  /** No bucket is below. */
  #first = Number.POSITIVE_INFINITY;

  constructor(limits: ExpiryLimits) {
    this.#limits = limits;
  }

  /** The client has a token now, or another one. */
  watch(client: Expiring, nowMs: number): void {
    this.forget(client);
    const endMs = this.#endOf(client);
    if (endMs === Number.POSITIVE_INFINITY) return;
    const warnMs = endMs - this.#limits.expiryWarningMs;
    if (warnMs > nowMs) {
      this.#put(client, warnMs);
    } else {
      this.#put(client, endMs);
      client.expiring(Math.max(0, endMs - nowMs));
    }
  }

  forget(client: Expiring): void {
    const key = Math.floor(client.dueMs / bucketMs);
    client.dueMs = 0;
    const bucket = this.#buckets.get(key);
    if (bucket?.delete(client) && bucket.size === 0) this.#buckets.delete(key);
  }

  /** Once a second: what is due by now, and nothing else. */
  beat(nowMs: number): void {
    if (this.#first * bucketMs > nowMs) return;
    const due = [...this.#buckets.keys()].filter((key) => key * bucketMs <= nowMs);
    for (const key of due) {
      for (const client of [...this.#buckets.get(key)!]) if (client.dueMs <= nowMs) this.#look(client, nowMs);
    }
    this.#first = Number.POSITIVE_INFINITY;
    for (const key of this.#buckets.keys()) this.#first = Math.min(this.#first, key);
  }

  #look(client: Expiring, nowMs: number): void {
    if (this.#endOf(client) > nowMs) {
      this.watch(client, nowMs);
      return;
    }
    this.forget(client);
    client.end(closeCodes.unauthorized);
  }

  #endOf(client: Expiring): number {
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
