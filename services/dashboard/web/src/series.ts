/** 0 good, 1 uncertain, 2 bad. */
export type QualityCode = 0 | 1 | 2;

/** Points of one tag in order of time; a view into buffers, valid until the next `add`. */
export interface Points {
  /** Epoch ms. */
  readonly times: Float64Array;
  readonly values: Float64Array;
  readonly qualities: Uint8Array;
}

const capacityFirst = 128;

/**
 * The points of one tag over the last `keepMs`, in order of their own time, at most `pointsMax`; the oldest are
 * dropped. They are contiguous in memory, so that a chart draws them without a copy. New points are added at the end;
 * when the buffer is full, those to keep move to the front of another one, which comes to less than two moves a point.
 */
export class Series {
  readonly keepMs: number;
  readonly pointsMax: number;
  #times = new Float64Array(capacityFirst);
  #values = new Float64Array(capacityFirst);
  #qualities = new Uint8Array(capacityFirst);
  #start = 0;
  #end = 0;

  constructor(keepMs: number, pointsMax: number) {
    this.keepMs = keepMs;
    this.pointsMax = pointsMax;
  }

  get length(): number {
    return this.#end - this.#start;
  }

  /** The number of points that the buffers hold, at 17 bytes each. */
  get capacity(): number {
    return this.#times.length;
  }

  /** Inserts a point in order of its time. It replaces one of the same time. */
  add(timeMs: number, value: number, quality: QualityCode): void {
    let at = this.#end;
    if (at > this.#start && this.#times[at - 1]! > timeMs) at = this.#start + this.indexAt(timeMs) + 1;
    if (at > this.#start && this.#times[at - 1] === timeMs) at--;
    else {
      if (this.length === this.pointsMax) {
        if (at === this.#start) return;
        this.#start++;
      }
      at = this.#makeRoom(at);
      this.#times.copyWithin(at + 1, at, this.#end);
      this.#values.copyWithin(at + 1, at, this.#end);
      this.#qualities.copyWithin(at + 1, at, this.#end);
      this.#end++;
    }
    this.#times[at] = timeMs;
    this.#values[at] = value;
    this.#qualities[at] = quality;
  }

  /** Makes sure that one more fits, and returns where `at` is then. */
  #makeRoom(at: number): number {
    if (this.#end < this.#times.length) return at;
    // Points beyond the time to keep; never the one at or after `at`.
    const oldestMs = this.#times[this.#end - 1]! - this.keepMs;
    while (this.#start < at && this.#times[this.#start]! < oldestMs) this.#start++;
    const moved = this.#start;
    // A buffer of which less than half is wanted is large enough.
    const capacity = this.length * 2 > this.#times.length ? this.#times.length * 2 : this.#times.length;
    this.#times = moveInto(new Float64Array(capacity), this.#times.subarray(this.#start, this.#end));
    this.#values = moveInto(new Float64Array(capacity), this.#values.subarray(this.#start, this.#end));
    this.#qualities = moveInto(new Uint8Array(capacity), this.#qualities.subarray(this.#start, this.#end));
    this.#end -= this.#start;
    this.#start = 0;
    return at - moved;
  }

  points(): Points {
    return {
      times: this.#times.subarray(this.#start, this.#end),
      values: this.#values.subarray(this.#start, this.#end),
      qualities: this.#qualities.subarray(this.#start, this.#end),
    };
  }

  /** Index in `points()` of the last point at or before a time; -1 where there is none. */
  indexAt(timeMs: number): number {
    let low = this.#start;
    let high = this.#end;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#times[middle]! <= timeMs) low = middle + 1;
      else high = middle;
    }
    return low - this.#start - 1;
  }
}

function moveInto<A extends Float64Array | Uint8Array>(target: A, source: A): A {
  target.set(source);
  return target;
}
