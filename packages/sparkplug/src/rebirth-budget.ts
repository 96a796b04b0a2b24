import type { RebirthCause } from './node-events.ts';

export interface RebirthLimits {
  /** Requests to all nodes of a broker together, in any second. */
  readonly perSecondMax: number;
  /** Interval between the first two requests to a node that does not answer. It doubles up to `intervalMsMax`. */
  readonly intervalMs: number;
  readonly intervalMsMax: number;
  /** A node that needed no birth for this long starts again with the shortest interval. */
  readonly stableMs: number;
  readonly nodesMax: number;
}

export const defaultRebirthLimits: RebirthLimits = {
  perSecondMax: 50,
  intervalMs: 2_000,
  intervalMsMax: 300_000,
  stableMs: 60_000,
  nodesMax: 10_000,
};

/** No node is asked twice within this time, over all causes. */
const perNodeMs = 1_000;

export interface RebirthRequest<Node> {
  readonly node: Node;
  readonly cause: RebirthCause;
}

interface Pending {
  /** Undefined: the node needs no birth. */
  cause: RebirthCause | undefined;
  sentMs: number;
  /** From the next request to the one after it. */
  intervalMs: number;
  dueMs: number;
  satisfiedMs: number;
  /** Whether its next request waits for a limit of several nodes. */
  isHeldBack: boolean;
}

/**
 * Decides when a host asks nodes for their births. A host that restarts needs the births of all nodes at once, and all
 * hosts of an installation would ask: births are large, so that the requests are limited. A node that does not answer,
 * or whose births do not help, is asked at growing intervals.
 *
 * Pure: the caller passes the time, and sends what `takeDue` returns.
 */
export class RebirthBudget<Node> {
  /** Requests that had to wait for one of the limits. */
  heldBack = 0;
  readonly #limits: RebirthLimits;
  readonly #nodes = new Map<Node, Pending>();
  /** Nodes that need a birth, in the order in which they asked. */
  readonly #waiting = new Set<Node>();
  /** Times of the last requests, oldest at `#at`. */
  readonly #sentMs: number[] = [];
  #at = 0;
  readonly #ownerOf: ((node: Node) => string) | undefined;
  /** Requests to the nodes of each owner in the second `#second`. */
  readonly #ofOwner = new Map<string, number>();
  #second = 0;

  /** `ownerOf`: of the requests of a second one owner gets half at most. Default: all nodes are of one. */
  constructor(limits: RebirthLimits = defaultRebirthLimits, ownerOf?: (node: Node) => string) {
    this.#limits = limits;
    this.#ownerOf = ownerOf;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Registers that a node needs a birth. Of several causes the first counts. */
  need(node: Node, cause: RebirthCause, nowMs: number): void {
    const pending = this.#pendingOf(node, nowMs);
    if (pending === undefined) {
      this.heldBack++;
      return;
    }
    if (pending.cause !== undefined) return;
    pending.cause = cause;
    if (nowMs - pending.satisfiedMs >= this.#limits.stableMs) {
      pending.intervalMs = this.#limits.intervalMs;
      pending.dueMs = pending.sentMs + perNodeMs;
    }
    if (pending.dueMs > nowMs) this.heldBack++;
    this.#waiting.add(node);
  }

  /** Registers that a node needs no birth any more. */
  satisfied(node: Node, nowMs: number): void {
    const pending = this.#nodes.get(node);
    if (pending?.cause === undefined) return;
    pending.cause = undefined;
    pending.isHeldBack = false;
    pending.satisfiedMs = nowMs;
    this.#waiting.delete(node);
  }

  /** Forgets a node that is removed. */
  forget(node: Node): void {
    this.#nodes.delete(node);
    this.#waiting.delete(node);
  }

  /** Returns the requests to send now, and counts them as sent. Call it at least every second. */
  takeDue(nowMs: number): RebirthRequest<Node>[] {
    const due: RebirthRequest<Node>[] = [];
    let isExhausted = false;
    for (const node of this.#waiting) {
      const pending = this.#nodes.get(node)!;
      if (pending.dueMs > nowMs) continue;
      isExhausted ||= !this.#hasToken(nowMs);
      if (isExhausted || this.#hasItsShare(node, nowMs)) {
        this.#holdBack(pending);
        continue;
      }
      this.#takeToken(nowMs);
      due.push({ node, cause: pending.cause! });
      this.#sent(pending, nowMs);
      this.#countOwner(node);
    }
    // Nodes that were asked wait behind those that were not.
    for (const { node } of due) {
      this.#waiting.delete(node);
      this.#waiting.add(node);
    }
    return due;
  }

  #sent(pending: Pending, nowMs: number): void {
    pending.sentMs = nowMs;
    pending.isHeldBack = false;
    pending.dueMs = nowMs + pending.intervalMs;
    pending.intervalMs = Math.min(2 * pending.intervalMs, this.#limits.intervalMsMax);
  }

  /** Whether the owner of a node has got its requests of this second. */
  #hasItsShare(node: Node, nowMs: number): boolean {
    if (this.#ownerOf === undefined) return false;
    const second = Math.floor(nowMs / 1_000);
    if (second !== this.#second) this.#ofOwner.clear();
    this.#second = second;
    return (this.#ofOwner.get(this.#ownerOf(node)) ?? 0) >= this.#limits.perSecondMax / 2;
  }

  #countOwner(node: Node): void {
    if (this.#ownerOf === undefined) return;
    const owner = this.#ownerOf(node);
    this.#ofOwner.set(owner, (this.#ofOwner.get(owner) ?? 0) + 1);
  }

  /** Counts a request that waits for a limit, once. */
  #holdBack(pending: Pending): void {
    if (!pending.isHeldBack) this.heldBack++;
    pending.isHeldBack = true;
  }

  #hasToken(nowMs: number): boolean {
    const oldest = this.#sentMs[this.#at];
    return oldest === undefined || nowMs - oldest >= 1_000;
  }

  #takeToken(nowMs: number): void {
    this.#sentMs[this.#at] = nowMs;
    this.#at = (this.#at + 1) % this.#limits.perSecondMax;
  }

  #pendingOf(node: Node, nowMs: number): Pending | undefined {
    const known = this.#nodes.get(node);
    if (known !== undefined) return known;
    if (this.#nodes.size >= this.#limits.nodesMax) this.#forgetStable(nowMs);
    if (this.#nodes.size >= this.#limits.nodesMax) return undefined;
    const pending: Pending = {
      cause: undefined,
      sentMs: Number.NEGATIVE_INFINITY,
      intervalMs: this.#limits.intervalMs,
      dueMs: nowMs,
      satisfiedMs: Number.NEGATIVE_INFINITY,
      isHeldBack: false,
    };
    this.#nodes.set(node, pending);
    return pending;
  }

  /** Forgets nodes about which nothing is left to remember. */
  #forgetStable(nowMs: number): void {
    for (const [node, { cause, satisfiedMs }] of this.#nodes)
      if (cause === undefined && nowMs - satisfiedMs >= this.#limits.stableMs) this.#nodes.delete(node);
  }
}
