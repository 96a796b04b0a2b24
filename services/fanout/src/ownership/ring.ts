/** The announced state of a node. */
export interface NodeState {
  readonly node: string;
  readonly url: string;
  readonly generation: number;
  /** Partitions that it owns and serves. */
  readonly partitions: readonly number[];
  /** Partitions that it serves as standby owner: see `Failover`. */
  readonly standby: readonly number[];
  readonly connections: number;
  /** 0: unknown. */
  readonly connectionsMax: number;
  /** Whether clients can be sent to its URL. */
  readonly reachable: boolean;
  /** Whether it is stopping: no client is sent to it, and it takes over no partition. */
  readonly draining: boolean;
}

export interface Owner {
  readonly node: string;
  readonly url: string;
  readonly generation: number;
  /** Whether it serves the partition as standby owner. */
  readonly isStandby: boolean;
}

export interface RingLimits {
  /**
   * A node that announces nothing for this long is suspect: it is still owner, but any other node that serves its
   * partitions comes first.
   */
  readonly suspectMs: number;
  /** A node that announces nothing for this long is absent. */
  readonly nodeTimeoutMs: number;
}

export type RingListener = (partition: number, owner: Owner | undefined) => void;

interface KnownNode {
  readonly state: NodeState;
  /** Time of its last announcement, monotonic ms. */
  announcedAt: number;
  isSuspect: boolean;
}

interface Claim extends Owner {
  readonly isSuspect: boolean;
}

/**
 * The owner of each partition, which every node derives from the announcements of all nodes. If several nodes claim a
 * partition, this order decides:
 * 1. A node that is not suspect comes before a suspect node.
 * 2. The highest generation comes first.
 * 3. An owner comes before a standby owner. So an owner that was slow for a moment has its partition again with its
 *    next announcement. One that the group has replaced meanwhile does not.
 * 4. The name that sorts first comes first. The group assigns a partition to one member; if it ever does not, all nodes
 *    still agree.
 */
export class Ring {
  readonly #limits: RingLimits;
  readonly #nodes = new Map<string, KnownNode>();
  readonly #listeners: RingListener[] = [];
  readonly #owners: (Claim | undefined)[];
  /** Partitions that have lost their owner, and when, monotonic ms. */
  readonly #vacantSince = new Map<number, number>();
  #suspects = 0;

  constructor(partitions: number, limits: RingLimits) {
    this.#limits = limits;
    this.#owners = new Array<Claim | undefined>(partitions).fill(undefined);
  }

  /** Calls `listener` at every change of an owner, after the listeners that were added before. */
  onChange(listener: RingListener): void {
    this.#listeners.push(listener);
  }

  owner(partition: number): Owner | undefined {
    return this.#owners[partition];
  }

  /** Returns the last announced state of a node; undefined if it is absent. */
  node(name: string): NodeState | undefined {
    return this.#nodes.get(name)?.state;
  }

  nodes(): NodeState[] {
    return [...this.#nodes.values()].map(({ state }) => state);
  }

  isSuspect(name: string): boolean {
    return this.#nodes.get(name)?.isSuspect ?? false;
  }

  /** Number of suspect nodes. */
  get suspects(): number {
    return this.#suspects;
  }

  /** Number of partitions with an owner. */
  get owned(): number {
    return this.#owners.filter((owner) => owner !== undefined).length;
  }

  /** Returns the nodes that take over partitions: those that are neither suspect nor draining. */
  eligibleNodes(): string[] {
    const names: string[] = [];
    for (const [name, { state, isSuspect }] of this.#nodes) if (!isSuspect && !state.draining) names.push(name);
    return names;
  }

  /**
   * Returns the partitions that no node serves: their owner is suspect, or left more than `suspectMs` ago and has no
   * successor.
   */
  orphans(nowMs: number): number[] {
    if (this.#suspects === 0 && this.#vacantSince.size === 0) return [];
    const orphans: number[] = [];
    for (let partition = 0; partition < this.#owners.length; partition++) {
      const vacantSince = this.#vacantSince.get(partition);
      const isVacant = vacantSince !== undefined && nowMs - vacantSince > this.#limits.suspectMs;
      if (isVacant || this.#owners[partition]?.isSuspect) orphans.push(partition);
    }
    return orphans;
  }

  /** Takes the announced state of a node. */
  announced(state: NodeState, nowMs: number): void {
    const known = this.#nodes.get(state.node);
    this.#nodes.set(state.node, { state, announcedAt: nowMs, isSuspect: false });
    if (known === undefined || known.isSuspect || !claimsTheSame(known.state, state)) this.#derive(nowMs);
  }

  left(node: string, nowMs: number): void {
    if (this.#nodes.delete(node)) this.#derive(nowMs);
  }

  /** Finds the nodes that have become suspect or absent. Called often. */
  expire(nowMs: number): void {
    let hasChanged = false;
    for (const [node, known] of this.#nodes) {
      const idleMs = nowMs - known.announcedAt;
      if (idleMs > this.#limits.nodeTimeoutMs) this.#nodes.delete(node);
      else if (!known.isSuspect && idleMs > this.#limits.suspectMs) known.isSuspect = true;
      else continue;
      hasChanged = true;
    }
    if (hasChanged) this.#derive(nowMs);
  }

  /** Extends the deadlines of all nodes by a time in which this node could not receive announcements. */
  extendDeadlines(ms: number): void {
    for (const known of this.#nodes.values()) known.announcedAt += ms;
    for (const [partition, since] of this.#vacantSince) this.#vacantSince.set(partition, since + ms);
  }

  #derive(nowMs: number): void {
    const owners = new Array<Claim | undefined>(this.#owners.length).fill(undefined);
    this.#suspects = 0;
    for (const { state, isSuspect } of this.#nodes.values()) {
      if (isSuspect) this.#suspects++;
      const { node, url, generation } = state;
      const claim = (partitions: readonly number[], isStandby: boolean) => {
        const made: Claim = { node, url, generation, isStandby, isSuspect };
        for (const partition of partitions) {
          if (partition < owners.length && comesBefore(made, owners[partition])) owners[partition] = made;
        }
      };
      claim(state.partitions, false);
      claim(state.standby, true);
    }
    for (let partition = 0; partition < owners.length; partition++) {
      const before = this.#owners[partition];
      const now = owners[partition];
      this.#owners[partition] = now;
      if (now !== undefined) this.#vacantSince.delete(partition);
      else if (before !== undefined) this.#vacantSince.set(partition, nowMs);
      if (!isSameOwner(before, now)) for (const listener of this.#listeners) listener(partition, now);
    }
  }
}

function comesBefore(claim: Claim, rival: Claim | undefined): boolean {
  if (rival === undefined) return true;
  if (claim.isSuspect !== rival.isSuspect) return rival.isSuspect;
  if (claim.generation !== rival.generation) return claim.generation > rival.generation;
  if (claim.isStandby !== rival.isStandby) return rival.isStandby;
  return claim.node < rival.node;
}

function isSameOwner(one: Owner | undefined, other: Owner | undefined): boolean {
  return (
    one?.node === other?.node &&
    one?.generation === other?.generation &&
    one?.url === other?.url &&
    one?.isStandby === other?.isStandby
  );
}

function claimsTheSame(one: NodeState, other: NodeState): boolean {
  return (
    one.url === other.url &&
    one.generation === other.generation &&
    areSame(one.partitions, other.partitions) &&
    areSame(one.standby, other.standby)
  );
}

function areSame(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((number, i) => number === other[i]);
}
