/** A node announces every 500 ms. One echo may be missing for a moment before that means something. */
const echoMs = 750;
/** What others may need to find back to the bus after they lost it together with this node. */
const forgivenMsMax = 2_000;

/**
 * Whether this node can hear others at all: silence of theirs counts only while it can. Every node hears its own announcements come back from the
 * bus. While they do not, the bus is cut here; and a node that was itself stopped for a while (a debugger, a full machine) has heard nobody either.
 * Without this a restart of the bus would make every node stand in for every other.
 */
export class BusMonitor {
  readonly #lookMs: number;
  #echoAt: number | undefined;
  #lookedAt: number | undefined;
  #isolatedMs = 0;

  /** `lookMs`: how often `look` is called when all is well. */
  constructor(lookMs: number) {
    this.#lookMs = lookMs;
  }

  /** The node's own announcement has come back. */
  echo(nowMs: number): void {
    this.#echoAt = nowMs;
  }

  /** No echo for too long, or none yet. */
  deaf(nowMs: number): boolean {
    return this.#echoAt === undefined || nowMs - this.#echoAt > echoMs;
  }

  /**
   * How much of the time since the last look counts as nobody's silence, ms. While deaf that is all of it; and at the end as much again, at most
   * `forgivenMsMax`, so that others who were cut off as well have time to come back.
   */
  look(nowMs: number): number {
    const sinceMs = nowMs - (this.#lookedAt ?? nowMs);
    this.#lookedAt = nowMs;
    if (this.deaf(nowMs)) {
      this.#isolatedMs += sinceMs;
      return sinceMs;
    }
    const forgivenMs = Math.min(this.#isolatedMs, forgivenMsMax);
    this.#isolatedMs = 0;
    return forgivenMs + (sinceMs > 3 * this.#lookMs ? sinceMs : 0);
  }
}
