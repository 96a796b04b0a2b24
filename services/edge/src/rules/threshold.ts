import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Sample } from '../sample.ts';
import type { RuleCondition } from './rule.ts';

/**
 * - `clear`: the value is not beyond the limit.
 * - `pending`: it is, for less than `forMs`.
 * - `active`: it was for `forMs`, and has not come back by the hysteresis.
 */
export type ThresholdState = 'clear' | 'pending' | 'active';

export interface ThresholdOptions {
  readonly when: RuleCondition;
  /** Called at each change between clear and active, with the sample that caused it. */
  readonly onChange: (isActive: boolean, sample: Sample) => void;
  readonly clock: Pick<Clock, 'after' | 'monotonic'>;
}

/** How long after the newest sample an older one is late, ms. Afterwards, the clock of the source was set back. */
const lateMsMax = 10_000;

/**
 * Watches one tag, by every sample, before filters. A sample without a good or uncertain number or boolean leaves the
 * state alone: a sensor that fails neither raises nor clears anything.
 */
export class Threshold {
  readonly #options: ThresholdOptions;
  #state: ThresholdState = 'clear';
  #latest: Sample | undefined;
  /** When that was taken, monotonic ms. */
  #latestMs = 0;
  #timer: Timer | undefined;

  constructor(options: ThresholdOptions) {
    this.#options = options;
  }

  get state(): ThresholdState {
    return this.#state;
  }

  take(sample: Sample): void {
    const { value, quality } = sample;
    if (quality === 'bad' || value === undefined || typeof value === 'string') return;
    const nowMs = this.#options.clock.monotonic();
    // Late: newer samples have decided already.
    if (this.#latest !== undefined && sample.time < this.#latest.time && nowMs - this.#latestMs < lateMsMax) return;
    this.#latest = sample;
    this.#latestMs = nowMs;
    const number = Number(value);
    if (this.#state === 'clear') {
      if (this.#isBeyond(number, 0)) this.#raise(sample);
    } else if (!this.#isBeyond(number, this.#options.when.hysteresis)) this.#clear(sample);
    else if (this.#state === 'pending' && !this.#isBeyond(number, 0)) this.#clear(sample);
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #isBeyond(value: number, hysteresis: number): boolean {
    const { above, below } = this.#options.when;
    return above === undefined ? value < below! + hysteresis : value > above - hysteresis;
  }

  #raise(sample: Sample): void {
    const { when, clock } = this.#options;
    if (when.forMs === 0) {
      this.#activate(sample);
      return;
    }
    this.#state = 'pending';
    // Not by the next sample: a source may have one only when the value changes.
    this.#timer = clock.after(when.forMs, () => this.#activate(this.#latest!));
  }

  #activate(sample: Sample): void {
    this.#state = 'active';
    this.#options.onChange(true, sample);
  }

  #clear(sample: Sample): void {
    this.#timer?.cancel();
    const wasActive = this.#state === 'active';
    this.#state = 'clear';
    if (wasActive) this.#options.onChange(false, sample);
  }
}
