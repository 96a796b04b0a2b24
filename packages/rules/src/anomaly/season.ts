/** The state of a season, as plain data. Of the profile: base64 of 32-bit floats, little-endian; NaN is unknown. */
export interface SeasonState {
  readonly profile: string;
  /** Of the visit of a slot that has not finished: the slot, the sum of its values, and their number. -1: none. */
  readonly visit: readonly [slot: number, sum: number, readings: number];
  /** Mean distance of a value from the profile, and from the expectation without it; and the number of readings. */
  readonly errors: readonly [ours: number, theirs: number, readings: number];
  /** Mean distance of the last values, with its sign. */
  readonly mean: number;
}

/** How far a slot moves towards the mean of a visit. Half: what was unusual once is half forgotten the next time. */
const profileStep = 0.5;
/** Share of the distance by which an error follows, at least: the mean of some 200 readings. */
const errorStep = 0.005;
/** A profile is used where its error is at most this share of the other's. Noise alone reaches about 1. */
const provenShare = 0.7;

/**
 * The usual values by the time of a period, such as a day: one for each slot. A slot moves once a visit, by the mean of
 * its readings, so that reports each second count as much as reports each hour. The profile is used only where it has
 * been nearer than the level so far: a tag without a season has none.
 */
export class Season {
  readonly #periodMs: number;
  readonly #profile: Float32Array;
  #slot = -1;
  #sum = 0;
  #readings = 0;
  #ours = 0;
  #theirs = 0;
  #compared = 0;
  /** Mean distance of the last values from the profile. */
  mean = 0;

  constructor(periodMs: number, slots: number, state?: SeasonState) {
    this.#periodMs = periodMs;
    this.#profile = new Float32Array(slots).fill(Number.NaN);
    if (state === undefined) return;
    const bytes = Buffer.from(state.profile, 'base64');
    for (let slot = 0; slot < slots; slot++) this.#profile[slot] = bytes.readFloatLE(slot * 4);
    [this.#slot, this.#sum, this.#readings] = state.visit;
    [this.#ours, this.#theirs, this.#compared] = state.errors;
    this.mean = state.mean;
  }

  /** Returns the usual value at a time, epoch ms; undefined if it is not known yet. */
  expected(timeMs: number): number | undefined {
    const value = this.#profile[this.#slotOf(timeMs)]!;
    return Number.isNaN(value) ? undefined : value;
  }

  /** Whether the profile has been nearer than the expectation without it. */
  get isProven(): boolean {
    return this.#ours < provenShare * this.#theirs;
  }

  /** Mean distance of a value from the profile. */
  get error(): number {
    return this.#ours;
  }

  /** Compares the distances of a value from the profile and from the expectation without it. `max` limits both. */
  compare(ours: number, theirs: number, max: number): void {
    this.#compared++;
    const step = Math.max(1 / this.#compared, errorStep);
    this.#ours += step * (Math.min(Math.abs(ours), max) - this.#ours);
    this.#theirs += step * (Math.min(Math.abs(theirs), max) - this.#theirs);
  }

  /** Learns a value. `stepMax` limits how far its slot moves. */
  learn(timeMs: number, value: number, stepMax: number): void {
    const slot = this.#slotOf(timeMs);
    if (slot !== this.#slot) {
      this.#finishVisit(stepMax);
      this.#slot = slot;
      this.#sum = 0;
      this.#readings = 0;
    }
    this.#sum += value;
    this.#readings++;
  }

  #finishVisit(stepMax: number): void {
    if (this.#readings === 0) return;
    const mean = this.#sum / this.#readings;
    const before = this.#profile[this.#slot]!;
    const distance = Math.max(-stepMax, Math.min(stepMax, mean - before));
    this.#profile[this.#slot] = Number.isNaN(before) ? mean : before + profileStep * distance;
  }

  #slotOf(timeMs: number): number {
    const phase = timeMs / this.#periodMs;
    return Math.min(Math.floor((phase - Math.floor(phase)) * this.#profile.length), this.#profile.length - 1);
  }

  state(): SeasonState {
    const bytes = Buffer.alloc(this.#profile.length * 4);
    for (const [slot, value] of this.#profile.entries()) bytes.writeFloatLE(value, slot * 4);
    return {
      profile: bytes.toString('base64'),
      visit: [this.#slot, this.#sum, this.#readings],
      errors: [this.#ours, this.#theirs, this.#compared],
      mean: this.mean,
    };
  }
}
