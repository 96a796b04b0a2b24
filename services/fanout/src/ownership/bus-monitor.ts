/**
 * This node is isolated after this time without its own announcement, ms. It announces every 500 ms, so one may be
 * late.
 */
const echoMs = 750;
/** Time for other nodes to reconnect to the bus after they lost it together with this node, ms. */
const forgivenMsMax = 2_000;

/**
 * Detects whether this node receives messages of the bus: only then a node without announcements is suspect. Every node
 * receives its own announcements. While they are missing, this node is isolated. A process that was stopped for a while
 * (a debugger, an overloaded machine) has received nothing either. Without this check, a restart of the bus would make
 * every node the standby owner of every other.
 */
export class BusMonitor {
  readonly #checkMs: number;
  #echoAt: number | undefined;
  #checkedAt: number | undefined;
  #isolatedMs = 0;

  /** `checkMs`: the normal interval of the calls of `check`. */
  constructor(checkMs: number) {
    this.#checkMs = checkMs;
  }

  /** Called when the node receives its own announcement. */
  echo(nowMs: number): void {
    this.#echoAt = nowMs;
  }

  /** Returns whether the own announcements are missing for too long, or none was received yet. */
  isIsolated(nowMs: number): boolean {
    return this.#echoAt === undefined || nowMs - this.#echoAt > echoMs;
  }

  /**
   * Returns the part of the time since the last check that counts against no node, ms. While this node is isolated,
   * that is all of it. Afterwards it is the same time again, at most `forgivenMsMax`, so that other isolated nodes have
   * time to reconnect.
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
