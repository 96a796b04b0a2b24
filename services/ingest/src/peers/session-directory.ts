import { SessionDigest } from './session-digest.ts';

/** Devices of other nodes that are remembered. One takes about 250 bytes. */
export const peerSessionsMax = 200_000;
/** A node without an announcement for this time gets no requests. */
export const reachableMs = 3_000;
/** After this time without an announcement its sessions are forgotten. */
const absentMs = 60_000;
/** How long a closed session is remembered: as long as its node has the message IDs of the device. */
const rememberMs = 3_600_000;
/** The same of MQTT, whose sessions outlive their connections: the longest session expiry. */
const rememberClientMs = 86_400_000;
const nodesMax = 1_000;

/** Another ingest node, in one of its starts. */
export interface PeerNode {
  readonly name: string;
  readonly boot: string;
  /** When something was received from it last, monotonic ms. */
  receivedMs: number;
  /** Whether nothing was received from it for `reachableMs`, at the last check. */
  isAway: boolean;
  /** Of its sessions that are known here. */
  readonly digest: SessionDigest;
}

/** A session of another node. */
export interface PeerClaim {
  readonly device: string;
  readonly number: number;
  readonly protocol: string;
}

interface KnownSession {
  readonly node: PeerNode;
  readonly number: number;
  readonly protocol: string;
  /** When it was received, monotonic ms. */
  readonly atMs: number;
}

export interface FoundSession {
  readonly node: PeerNode;
  readonly number: number;
  readonly isOpen: boolean;
  readonly protocol: string;
}

/**
 * The sessions of other nodes: of each device the last one, also if it has closed. A device that is forgotten costs the
 * hand-over of its message IDs, and nothing else. Depends on no bus.
 */
export class SessionDirectory {
  readonly #nodes = new Map<string, PeerNode>();
  readonly #open = new Map<string, KnownSession>();
  /** Oldest first. */
  readonly #closed = new Map<string, KnownSession>();
  /** Closed longer ago, and of MQTT. Oldest first. */
  readonly #stored = new Map<string, KnownSession>();

  /** Devices that are remembered. */
  get size(): number {
    return this.#open.size + this.#closed.size + this.#stored.size;
  }

  /** Open sessions of other nodes. */
  get open(): number {
    return this.#open.size;
  }

  /** Whether open sessions may have been forgotten, so that no digest is equal any more. */
  get isFull(): boolean {
    return this.#open.size + this.#closed.size >= peerSessionsMax;
  }

  /** Returns the number of nodes that get requests. */
  reachableNodes(nowMs: number): number {
    let count = 0;
    for (const { receivedMs } of this.#nodes.values()) if (nowMs - receivedMs < reachableMs) count++;
    return count;
  }

  /**
   * Returns the node from which something was received. `isNew`: it was not known, or has started again since; what its
   * earlier start had is forgotten. `isRestarted`: the latter. Undefined at the limit of nodes.
   */
  received(
    name: string,
    boot: string,
    nowMs: number,
  ): { readonly node: PeerNode; readonly isNew: boolean; readonly isRestarted: boolean } | undefined {
    const known = this.#nodes.get(name);
    if (known?.boot === boot) {
      known.receivedMs = nowMs;
      return { node: known, isNew: false, isRestarted: false };
    }
    if (known !== undefined) this.forgetNode(known);
    if (this.#nodes.size >= nodesMax) return undefined;
    const node = { name, boot, receivedMs: nowMs, isAway: false, digest: new SessionDigest() };
    this.#nodes.set(name, node);
    return { node, isNew: true, isRestarted: known !== undefined };
  }

  /** Forgets a node that has stopped, with its sessions: nothing has their message IDs any more. */
  forgetNode(node: PeerNode): void {
    if (this.#nodes.get(node.name) === node) this.#nodes.delete(node.name);
    for (const sessions of [this.#open, this.#closed, this.#stored])
      for (const [device, session] of sessions) if (session.node === node) sessions.delete(device);
  }

  /** A session of the node is open. `isFresh`: it has opened now. */
  opened(node: PeerNode, { device, number, protocol }: PeerClaim, isFresh: boolean, nowMs: number): void {
    const known = this.#last(device);
    if (known?.node === node && number <= known.number) return;
    // Received late: of another node is a newer one.
    if (known !== undefined && known.node !== node && !isFresh && number < known.number) return;
    this.forget(device);
    this.#open.set(device, { node, number, protocol, atMs: nowMs });
    node.digest.add(device, number);
    this.#forgetBeyondLimit();
  }

  closed(node: PeerNode, { device, number, protocol }: PeerClaim, nowMs: number): void {
    const open = this.#open.get(device);
    // Replaced by a session of another node, or by a newer one of the same.
    if (open !== undefined && (open.node !== node || open.number > number)) return;
    if (((this.#closed.get(device) ?? this.#stored.get(device))?.number ?? 0) > number) return;
    this.forget(device);
    this.#closed.set(device, { node, number, protocol, atMs: nowMs });
    this.#forgetBeyondLimit();
  }

  /** Removes the open sessions of the node that are not in its list. `until`: those with higher numbers are newer. */
  keepOnly(node: PeerNode, listed: ReadonlySet<string>, until: number): void {
    for (const [device, session] of this.#open)
      if (session.node === node && session.number <= until && !listed.has(device)) this.forget(device);
  }

  /** Forgets what is known of the device: this node has its session. */
  forget(device: string): void {
    const open = this.#open.get(device);
    if (open !== undefined) {
      open.node.digest.remove(device, open.number);
      this.#open.delete(device);
    }
    this.#closed.delete(device);
    this.#stored.delete(device);
  }

  /** Returns the number of the last known session; 0 for none. */
  numberOf(device: string): number {
    return this.#last(device)?.number ?? 0;
  }

  /** Returns the last session of the device on a node that can be reached. */
  find(device: string, nowMs: number): FoundSession | undefined {
    const open = this.#open.get(device);
    const found = this.#last(device);
    if (found === undefined || nowMs - found.node.receivedMs >= reachableMs) return undefined;
    const { node, number, protocol } = found;
    return { node, number, protocol, isOpen: open !== undefined };
  }

  /** Forgets what is old. Called every second. Returns whether a node cannot be reached since the last call. */
  check(nowMs: number): boolean {
    let isLost = false;
    for (const node of this.#nodes.values()) {
      const isAway = nowMs - node.receivedMs >= reachableMs;
      isLost ||= isAway && !node.isAway;
      node.isAway = isAway;
      if (nowMs - node.receivedMs >= absentMs) this.forgetNode(node);
    }
    for (const [device, session] of this.#closed) {
      if (nowMs - session.atMs < rememberMs) break;
      this.#closed.delete(device);
      if (session.protocol === 'mqtt') this.#stored.set(device, session);
    }
    for (const [device, { atMs }] of this.#stored) {
      if (nowMs - atMs < rememberClientMs) break;
      this.#stored.delete(device);
    }
    return isLost;
  }

  #last(device: string): KnownSession | undefined {
    return this.#open.get(device) ?? this.#closed.get(device) ?? this.#stored.get(device);
  }

  #forgetBeyondLimit(): void {
    if (this.size <= peerSessionsMax) return;
    for (const sessions of [this.#stored, this.#closed, this.#open]) {
      for (const device of sessions.keys()) {
        this.forget(device);
        return;
      }
    }
  }
}
