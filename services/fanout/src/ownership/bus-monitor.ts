/** A node announces every 500 ms. One echo may be missing for a moment before that means something. */
const echoMs = 750;
/** What other nodes may need to reconnect to the bus after they lost it together with this node. */
const forgivenMsMax = 2_000;

/**
 * Whether this node receives anything on the bus: only while it does, a node that announces nothing is suspect. Every
 * node receives its own announcements back. While they are missing, this node is isolated; and a node whose process was
 * stopped for a while (a debugger, a full machine) has received nothing either. Without this a restart of the bus would
 * make every node the standby owner of every other.
 */
export class BusMonitor {
  readonly #checkMs: number;
  #echoAt: number | undefined;
  #checkedAt: number | undefined;
  #isolatedMs = 0;

  /** `checkMs`: how often `check` is called when all is well. */
  constructor(checkMs: number) {
    this.#checkMs = checkMs;
  }

  /** The node's own announcement has come back. */
  echo(nowMs: number): void {
    this.#echoAt = nowMs;
  }

  /** No echo for too long, or none yet. */
  isIsolated(nowMs: number): boolean {
    return this.#echoAt === undefined || nowMs - this.#echoAt > echoMs;
  }

  /**
   * Returns how much of the time since the last check counts against no node, ms. While isolated that is all of it; and
   * at the end as much again, at most `forgivenMsMax`, so that nodes that were isolated as well have time to reconnect.
   */
  check(nowMs: number): number {
    const sinceMs = nowMs - (this.#checkedAt ?? nowMs);
    this.#checkedAt = nowMs;
    if (this.isIsolated(nowMs)) {
      this.#isolatedMs += sinceMs;
      return sinceMs;
    }
    const forgivenMs = Math.min(this.#isolatedMs, forgivenMsMax);
    this.#isolatedMs = 0;
    return forgivenMs + (sinceMs > 3 * this.#checkMs ? sinceMs : 0);
  }
}
