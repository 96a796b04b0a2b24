import { RateLimit } from './rate-limit.ts';

export interface AddressLimits {
  readonly addressConnectionsMax: number;
  /** Handshakes a second; as many at once as an address may have connections, which all may come back together. */
  readonly addressHandshakesPerSecondMax: number;
}

interface Address {
  connections: number;
  /** Of its handshakes' rate. */
  mark: number;
}

/** Why an address gets no connection now. */
export type AddressFault = 'address_rate' | 'address_connections';

/**
 * Where connections come from. An address is known while it has a connection or its rate is not back to rest; `sweep` forgets the others. No
 * more can be known than the node takes connections, and handshakes between two sweeps.
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

  /** Why a handshake of the address is not taken at monotonic `nowMs`. Remembers nothing. */
  faultOf(address: string, nowMs: number): AddressFault | undefined {
    const known = this.#known.get(address);
    if (known === undefined) return undefined;
    if (known.connections >= this.#connectionsMax) return 'address_connections';
    return this.#rate.take(known.mark, nowMs) === undefined ? 'address_rate' : undefined;
  }

  /** A handshake was taken. */
  handshake(address: string, nowMs: number): void {
    const known = this.#of(address);
    known.mark = this.#rate.take(known.mark, nowMs) ?? known.mark;
  }

  opened(address: string): void {
    this.#of(address).connections++;
  }

  closed(address: string): void {
    const known = this.#known.get(address);
    if (known !== undefined && known.connections > 0) known.connections--;
  }

  sweep(nowMs: number): void {
    for (const [address, { connections, mark }] of this.#known) {
      if (connections === 0 && this.#rate.isOver(mark, nowMs)) this.#known.delete(address);
    }
  }

  /** Of the address that has most: how near the limit is. */
  mostConnections(): number {
    let most = 0;
    for (const { connections } of this.#known.values()) most = Math.max(most, connections);
    return most;
  }

  /** Handshakes that count against the rate of an address at this moment, of the one that has most. */
  mostHandshakes(nowMs: number): number {
    let left = this.#rate.burst;
    for (const { mark } of this.#known.values()) left = Math.min(left, this.#rate.left(mark, nowMs));
    return this.#rate.burst - left;
  }

  #of(address: string): Address {
    let known = this.#known.get(address);
    if (known === undefined) {
      known = { connections: 0, mark: 0 };
      this.#known.set(address, known);
    }
    return known;
  }
}
