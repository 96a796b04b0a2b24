/** What a node says of itself. */
export interface NodeState {
  readonly node: string;
  readonly url: string;
  readonly generation: number;
  readonly partitions: readonly number[];
  readonly connections: number;
}

export interface Owner {
  readonly node: string;
  readonly url: string;
  readonly generation: number;
}

/**
 * Who owns which partition, derived by every node alike from what all nodes say of themselves: of several claims the one of the highest
 * generation holds, and a node that is silent for `silenceMs` is absent. Within one generation the group gives a partition to one member;
 * should it ever not, the lesser name holds, so that all agree.
 */
export class Ring {
  readonly #silenceMs: number;
  readonly #nodes = new Map<string, NodeState & { readonly seenAt: number }>();
  readonly #onChange: (partition: number, owner: Owner | undefined) => void;
  readonly #owners: (Owner | undefined)[];

  constructor(partitions: number, silenceMs: number, onChange: (partition: number, owner: Owner | undefined) => void) {
    this.#silenceMs = silenceMs;
    this.#onChange = onChange;
    this.#owners = new Array<Owner | undefined>(partitions).fill(undefined);
  }

  owner(partition: number): Owner | undefined {
    return this.#owners[partition];
  }

  nodes(): NodeState[] {
    return [...this.#nodes.values()];
  }

  /** How many partitions have an owner. */
  get owned(): number {
    return this.#owners.filter((owner) => owner !== undefined).length;
  }

  heard(state: NodeState, nowMs: number): void {
    const known = this.#nodes.get(state.node);
    this.#nodes.set(state.node, { ...state, seenAt: nowMs });
    const same =
      known !== undefined &&
      known.url === state.url &&
      known.generation === state.generation &&
      known.partitions.length === state.partitions.length &&
      known.partitions.every((partition, i) => partition === state.partitions[i]);
    if (!same) this.#derive();
  }

  left(node: string): void {
    if (this.#nodes.delete(node)) this.#derive();
  }

  expire(nowMs: number): void {
    for (const [node, { seenAt }] of this.#nodes) if (nowMs - seenAt > this.#silenceMs) this.left(node);
  }

  #derive(): void {
    const owners = new Array<Owner | undefined>(this.#owners.length).fill(undefined);
    for (const { node, url, generation, partitions } of this.#nodes.values()) {
      for (const partition of partitions) {
        const rival = owners[partition];
        const wins =
          rival === undefined ||
          generation > rival.generation ||
          (generation === rival.generation && node < rival.node);
        if (wins && partition < owners.length) owners[partition] = { node, url, generation };
      }
    }
    for (let partition = 0; partition < owners.length; partition++) {
      const before = this.#owners[partition];
      const now = owners[partition];
      if (before?.node === now?.node && before?.generation === now?.generation && before?.url === now?.url) continue;
      this.#owners[partition] = now;
      this.#onChange(partition, now);
    }
  }
}
