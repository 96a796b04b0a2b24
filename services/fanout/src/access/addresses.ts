import { RateLimit } from '@tailrace/platform/rate-limit';

export interface AddressLimits {
  readonly addressConnectionsMax: number;
  /** Handshakes a second. The burst is `addressConnectionsMax`, because all clients may reconnect at once. */
  readonly addressHandshakesPerSecondMax: number;
}

interface Address {
  connections: number;
  /** State of its handshake rate, see `RateLimit`. */
  tatMs: number;
}

/** Why a handshake of an address is refused. */
export type AddressRefusalReason = 'address_rate' | 'address_connections';

/**
 * Connections and handshake rates by client address. An entry lives while its address has a connection, or less than
 * its full burst; `sweep` deletes the others. So the entries are bounded by the connections of the node and the
 * handshakes between two sweeps.
 */
export class Addresses {
  readonly #rate: RateLimit;
  readonly #connectionsMax: number;
  readonly #known = new Map<string, Address>();

  constructor({ addressConnectionsMax, addressHandshakesPerSecondMax }: AddressLimits) {
    this.#connectionsMax = addressConnectionsMax;
    this.#rate = new RateLimit(addressHandshakesPerSecondMax, addressConnectionsMax);
  }

  get size(): number {
    return this.#known.size;
  }

  /** Returns why a handshake of the address is refused at monotonic `nowMs`; undefined: it is not. Changes nothing. */
  refusalReason(address: string, nowMs: number): AddressRefusalReason | undefined {
    const known = this.#known.get(address);
    if (known === undefined) return undefined;
    if (known.connections >= this.#connectionsMax) return 'address_connections';
    return this.#rate.take(known.tatMs, nowMs) === undefined ? 'address_rate' : undefined;
  }

  /** Counts a handshake that was accepted. */
  handshake(address: string, nowMs: number): void {
    const known = this.#of(address);
    known.tatMs = this.#rate.take(known.tatMs, nowMs) ?? known.tatMs;
  }

  opened(address: string): void {
    this.#of(address).connections++;
  }

  closed(address: string): void {
    const known = this.#known.get(address);
    if (known !== undefined && known.connections > 0) known.connections--;
  }

  sweep(nowMs: number): void {
    for (const [address, { connections, tatMs }] of this.#known) {
      if (connections === 0 && this.#rate.hasFullBurst(tatMs, nowMs)) this.#known.delete(address);
    }
  }

  /** Returns the connections of the address that has most. */
  mostConnections(): number {
    let most = 0;
    for (const { connections } of this.#known.values()) most = Math.max(most, connections);
    return most;
  }

  /** Returns the handshakes that count against the rate at `nowMs`, of the address that has most. */
  mostHandshakes(nowMs: number): number {
    let left = this.#rate.burst;
    for (const { tatMs } of this.#known.values()) left = Math.min(left, this.#rate.left(tatMs, nowMs));
    return this.#rate.burst - left;
  }

  #of(address: string): Address {
    let known = this.#known.get(address);
    if (known === undefined) {
      known = { connections: 0, tatMs: 0 };
      this.#known.set(address, known);
    }
    return known;
  }
}
