/** What a node says of itself. */
export interface NodeState {
  readonly node: string;
  readonly url: string;
  readonly generation: number;
  /** That it owns and serves. */
  readonly partitions: readonly number[];
  /** That it serves without owning them: see `Failover`. */
  readonly acting: readonly number[];
  readonly connections: number;
  /** 0: not told. */
  readonly connectionsMax: number;
  /** Clients can be sent to its URL. */
  readonly reachable: boolean;
  /** It is about to stop: nobody is sent there, and nothing is left to it. */
  readonly draining: boolean;
}

export interface Owner {
  readonly node: string;
  readonly url: string;
  readonly generation: number;
  /** Serves the partition without owning it. */
  readonly acting: boolean;
}

export interface RingLimits {
  /** A node silent for so long is suspect: it is still owner, but whoever else serves its partitions comes before it. */
  readonly suspectMs: number;
  /** A node silent for so long is absent. */
  readonly nodeSilenceMs: number;
}

export type RingListener = (partition: number, owner: Owner | undefined) => void;

interface Heard {
  readonly state: NodeState;
  seenAt: number;
  suspect: boolean;
}

interface Claim extends Owner {
  readonly suspect: boolean;
}

/**
 * Who owns which partition, derived by every node alike from what all nodes say of themselves. Of several claims holds
 * 1. one of a node that is not suspect, before one of a node that is,
 * 2. the one of the highest generation,
 * 3. an owner's, before that of a node which serves in its place. So an owner that was only slow for a moment has its partition back
 *    as soon as it is heard; one that was away for so long that the group has gone on without it does not.
 * 4. the one of the lesser name. The group gives a partition to one member; should it ever not, all agree.
 */
export class Ring {
  readonly #limits: RingLimits;
  readonly #nodes = new Map<string, Heard>();
  readonly #listeners: RingListener[] = [];
  readonly #owners: (Claim | undefined)[];
  /** Since when a partition that had an owner has none, monotonic ms. */
  readonly #vacantSince = new Map<number, number>();
  #suspects = 0;

  constructor(partitions: number, limits: RingLimits) {
    this.#limits = limits;
    this.#owners = new Array<Claim | undefined>(partitions).fill(undefined);
  }

  /** Calls `listener` at every change of an owner, after those that were added before. */
  onChange(listener: RingListener): void {
    this.#listeners.push(listener);
  }

  owner(partition: number): Owner | undefined {
    return this.#owners[partition];
  }

  /** What a node said last; undefined where it is absent. */
  node(name: string): NodeState | undefined {
    return this.#nodes.get(name)?.state;
  }

  nodes(): NodeState[] {
    return [...this.#nodes.values()].map(({ state }) => state);
  }

  isSuspect(name: string): boolean {
    return this.#nodes.get(name)?.suspect ?? false;
  }

  /** How many nodes are suspect. */
  get suspects(): number {
    return this.#suspects;
  }

  /** How many partitions have an owner. */
  get owned(): number {
    return this.#owners.filter((owner) => owner !== undefined).length;
  }

  /** The nodes that would take more: those that are heard and do not drain. */
  willing(): string[] {
    const names: string[] = [];
    for (const [name, { state, suspect }] of this.#nodes) if (!suspect && !state.draining) names.push(name);
    return names;
  }

  /** The partitions that nobody serves at present: their owner is suspect, or has gone `suspectMs` ago and nobody has come in its place. */
  orphans(nowMs: number): number[] {
    if (this.#suspects === 0 && this.#vacantSince.size === 0) return [];
    const orphans: number[] = [];
    for (let partition = 0; partition < this.#owners.length; partition++) {
      const vacantSince = this.#vacantSince.get(partition);
      const vacant = vacantSince !== undefined && nowMs - vacantSince > this.#limits.suspectMs;
      if (vacant || this.#owners[partition]?.suspect) orphans.push(partition);
    }
    return orphans;
  }

  heard(state: NodeState, nowMs: number): void {
    const known = this.#nodes.get(state.node);
    this.#nodes.set(state.node, { state, seenAt: nowMs, suspect: false });
    if (known === undefined || known.suspect || !claimsTheSame(known.state, state)) this.#derive(nowMs);
  }

  left(node: string, nowMs: number): void {
    if (this.#nodes.delete(node)) this.#derive(nowMs);
  }

  /** Called often. Finds out who has fallen silent. */
  expire(nowMs: number): void {
    let changed = false;
    for (const [node, heard] of this.#nodes) {
      const silentMs = nowMs - heard.seenAt;
      if (silentMs > this.#limits.nodeSilenceMs) this.#nodes.delete(node);
      else if (!heard.suspect && silentMs > this.#limits.suspectMs) heard.suspect = true;
      else continue;
      changed = true;
    }
    if (changed) this.#derive(nowMs);
  }

  /** So much time in which this node could not have heard anybody counts as nobody's silence. */
  excuse(ms: number): void {
    for (const heard of this.#nodes.values()) heard.seenAt += ms;
    for (const [partition, since] of this.#vacantSince) this.#vacantSince.set(partition, since + ms);
  }

  #derive(nowMs: number): void {
    const owners = new Array<Claim | undefined>(this.#owners.length).fill(undefined);
    this.#suspects = 0;
    for (const { state, suspect } of this.#nodes.values()) {
      if (suspect) this.#suspects++;
      const { node, url, generation } = state;
      const claim = (partitions: readonly number[], acting: boolean) => {
        const made: Claim = { node, url, generation, acting, suspect };
        for (const partition of partitions) {
          if (partition < owners.length && comesBefore(made, owners[partition])) owners[partition] = made;
        }
      };
      claim(state.partitions, false);
      claim(state.acting, true);
    }
    for (let partition = 0; partition < owners.length; partition++) {
      const before = this.#owners[partition];
      const now = owners[partition];
      this.#owners[partition] = now;
      if (now !== undefined) this.#vacantSince.delete(partition);
      else if (before !== undefined) this.#vacantSince.set(partition, nowMs);
      if (!sameOwner(before, now)) for (const listener of this.#listeners) listener(partition, now);
    }
  }
}

function comesBefore(claim: Claim, rival: Claim | undefined): boolean {
  if (rival === undefined) return true;
  if (claim.suspect !== rival.suspect) return rival.suspect;
  if (claim.generation !== rival.generation) return claim.generation > rival.generation;
  if (claim.acting !== rival.acting) return rival.acting;
  return claim.node < rival.node;
}

function sameOwner(one: Owner | undefined, other: Owner | undefined): boolean {
  return (
    one?.node === other?.node &&
    one?.generation === other?.generation &&
    one?.url === other?.url &&
    one?.acting === other?.acting
  );
}

function claimsTheSame(one: NodeState, other: NodeState): boolean {
  return (
    one.url === other.url &&
    one.generation === other.generation &&
    sameNumbers(one.partitions, other.partitions) &&
    sameNumbers(one.acting, other.acting)
  );
}

function sameNumbers(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((number, i) => number === other[i]);
}
