/** Limits of connections without authentication. */
export interface UnauthenticatedLimits {
  readonly unauthenticatedMax: number;
  readonly addressUnauthenticatedMax: number;
}

/** A connection that is not authenticated yet. */
export interface UnauthenticatedConnection {
  readonly address: string;
  /** Closed for a newer one. It is removed already. */
  replaced(): void;
}

/**
 * The connections of a server that are not authenticated. At the limit of its address, or of all, the oldest is closed
 * for the newcomer, so that idle connections cannot lock out devices.
 */
export class Unauthenticated<C extends UnauthenticatedConnection> {
  readonly #limits: UnauthenticatedLimits;
  /** Oldest first. */
  readonly #all = new Set<C>();
  readonly #byAddress = new Map<string, Set<C>>();

  constructor(limits: UnauthenticatedLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#all.size;
  }

  /** Returns the most connections of one address. For metrics. */
  mostOfOneAddress(): number {
    let most = 0;
    for (const { size } of this.#byAddress.values()) most = Math.max(most, size);
    return most;
  }

  add(connection: C): void {
    const { unauthenticatedMax, addressUnauthenticatedMax } = this.#limits;
    const { address } = connection;
    const known = this.#byAddress.get(address);
    if (known !== undefined && known.size >= addressUnauthenticatedMax) this.#replace(known);
    if (this.#all.size >= unauthenticatedMax) this.#replace(this.#all);
    this.#all.add(connection);
    const ofAddress = this.#byAddress.get(address);
    if (ofAddress === undefined) this.#byAddress.set(address, new Set([connection]));
    else ofAddress.add(connection);
  }

  /** Called when a connection is authenticated, or closed. Idempotent. */
  delete(connection: C): void {
    if (!this.#all.delete(connection)) return;
    const { address } = connection;
    const ofAddress = this.#byAddress.get(address)!;
    ofAddress.delete(connection);
    if (ofAddress.size === 0) this.#byAddress.delete(address);
  }

  #replace(among: Iterable<C>): void {
    for (const oldest of among) {
      this.delete(oldest);
      oldest.replaced();
      return;
    }
  }
}
