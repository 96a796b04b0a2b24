/**
 * Numbers of ISA-18.2 and EEMUA 191: more than 10 alarms in 10 minutes are more than an operator can handle, and the
 * flood stops when there are fewer than 5.
 */
export const floodLimits = { windowMs: 600_000, startAbove: 10, stopBelow: 5 } as const;

/** More times are not kept: a rate above it is a flood in any case. */
const raisedMax = 1_000;

export interface AlarmRateState {
  readonly raised: readonly number[];
  /** Start of the flood, epoch ms; absent: there is none. */
  readonly floodSince?: number;
}

/**
 * How many alarms an area or an operator got in the last 10 minutes, and whether that is a flood. Times are by one
 * clock, and may come in any order within the window.
 */
export class AlarmRate {
  /** Ascending. */
  #raised: number[];
  #floodSince: number | undefined;

  constructor(state: AlarmRateState = { raised: [] }) {
    this.#raised = [...state.raised];
    this.#floodSince = state.floodSince;
  }

  get isFlood(): boolean {
    return this.#floodSince !== undefined;
  }

  /** Start of the flood, epoch ms; undefined: there is none. */
  get floodSince(): number | undefined {
    return this.#floodSince;
  }

  /** Alarms in the window that has the last time of `raise` or `advance` as its end. */
  get count(): number {
    return this.#raised.length;
  }

  /** An alarm was raised. Returns whether a flood has started or stopped. */
  raise(atMs: number): 'started' | 'stopped' | undefined {
    let index = this.#raised.length;
    while (index > 0 && this.#raised[index - 1]! > atMs) index--;
    this.#raised.splice(index, 0, atMs);
    if (this.#raised.length > raisedMax) this.#raised.shift();
    return this.advance(atMs);
  }

  /** Time has passed. Returns whether a flood has started or stopped. */
  advance(nowMs: number): 'started' | 'stopped' | undefined {
    const fromMs = nowMs - floodLimits.windowMs;
    const kept = this.#raised.findIndex((atMs) => atMs > fromMs);
    this.#raised.splice(0, kept < 0 ? this.#raised.length : kept);
    if (this.#floodSince === undefined && this.count > floodLimits.startAbove) {
      this.#floodSince = nowMs;
      return 'started';
    }
    if (this.#floodSince !== undefined && this.count < floodLimits.stopBelow) {
      this.#floodSince = undefined;
      return 'stopped';
    }
    return undefined;
  }

  /** When `advance` may end a flood, epoch ms; infinite: there is none. */
  nextDueMs(): number {
    if (!this.isFlood) return Number.POSITIVE_INFINITY;
    // With the fourth-last alarm alone in the window, there are fewer than 5.
    const decisive = this.#raised[this.#raised.length - floodLimits.stopBelow];
    return (decisive ?? 0) + floodLimits.windowMs;
  }

  state(): AlarmRateState {
    const raised = [...this.#raised];
    return this.#floodSince === undefined ? { raised } : { raised, floodSince: this.#floodSince };
  }
}
