/** Samples in a window. More frequent readings are thinned, so that the state of a rule is bounded. */
const samplesMax = 32;

/** Times and values in turn, oldest first. */
export type RateWindowState = readonly number[];

/**
 * The change of a tag per second over a window: from the newest sample that is at least the window old to now. A tag
 * with fewer readings is compared with its previous one.
 */
export class RateWindow {
  readonly #overMs: number;
  readonly #samples: number[];
  /** Per second; undefined: the window is not full. */
  rate: number | undefined;

  constructor(overMs: number, state: RateWindowState = []) {
    this.#overMs = overMs;
    this.#samples = [...state];
  }

  /** Takes a reading. Times do not fall. */
  take(time: number, value: number): void {
    const samples = this.#samples;
    while (samples.length >= 4 && samples[2]! <= time - this.#overMs) samples.splice(0, 2);
    const elapsedMs = samples.length === 0 ? 0 : time - samples[0]!;
    this.rate = elapsedMs >= this.#overMs ? ((value - samples[1]!) * 1_000) / elapsedMs : undefined;
    const last = samples[samples.length - 2];
    if (last === undefined || time - last >= this.#overMs / samplesMax) samples.push(time, value);
  }

  state(): RateWindowState {
    return this.#samples;
  }
}
