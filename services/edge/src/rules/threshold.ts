import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Sample } from '../sample.ts';
import type { RuleCondition } from './rule.ts';
import { SampleOrder } from './sample-order.ts';

/**
 * - `clear`: the value is not beyond the limit.
 * - `pending`: it is, for less than `forMs`. Time in which the tag cannot be read does not count; after more than
 *   `forMs` of it, the time starts again.
 * - `active`: it was for `forMs`, and has not come back by the hysteresis.
 */
export type ThresholdState = 'clear' | 'pending' | 'active';

export interface ThresholdOptions {
  readonly when: RuleCondition;
  /** Called at each change between clear and active, with the sample that caused it. */
  readonly onChange: (isActive: boolean, sample: Sample) => void;
  readonly clock: Pick<Clock, 'after' | 'monotonic'>;
}

/**
 * Watches one tag, by every sample, before filters. A sample without a good or uncertain number or boolean leaves the
 * state alone: a sensor that fails neither raises nor clears anything, and a value that was beyond the limit when it
 * failed is not known to be there any more.
 */
export class Threshold {
  readonly #options: ThresholdOptions;
  #state: ThresholdState = 'clear';
  #latest: Sample | undefined;
  readonly #order = new SampleOrder();
  #timer: Timer | undefined;
  /** While `pending`: when `forMs` has passed, monotonic ms. */
  #untilMs = 0;
  /** While `pending`: since when the tag cannot be read, monotonic ms. */
  #unreadableMs: number | undefined;

  constructor(options: ThresholdOptions) {
    this.#options = options;
  }

  get state(): ThresholdState {
    return this.#state;
  }

  take(sample: Sample): void {
    const { value, quality } = sample;
    const nowMs = this.#options.clock.monotonic();
    if (quality === 'bad' || value === undefined) {
      this.#pause(nowMs);
      return;
    }
    if (typeof value === 'string') return;
    // Late: newer samples have decided already.
    if (this.#order.take(sample.time, nowMs) === 'late') return;
    this.#latest = sample;
    const number = Number(value);
    if (this.#state === 'clear') {
      if (this.#isBeyond(number, 0)) this.#raise(sample);
    } else if (!this.#isBeyond(number, this.#options.when.hysteresis)) this.#clear(sample);
    else if (this.#state === 'pending' && !this.#isBeyond(number, 0)) this.#clear(sample);
    else if (this.#unreadableMs !== undefined) this.#resume(nowMs);
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
    this.#wait(clock.monotonic(), when.forMs);
  }

  /** Not by the next sample: a source may have one only when the value changes. */
  #wait(nowMs: number, leftMs: number): void {
    this.#untilMs = nowMs + leftMs;
    this.#timer = this.#options.clock.after(leftMs, () => this.#activate(this.#latest!));
  }

  /** The tag cannot be read. */
  #pause(nowMs: number): void {
    if (this.#state !== 'pending' || this.#unreadableMs !== undefined) return;
    this.#timer?.cancel();
    this.#unreadableMs = nowMs;
  }

  /** The value is beyond the limit after a time in which the tag could not be read. */
  #resume(nowMs: number): void {
    const { forMs } = this.#options.when;
    const sinceMs = this.#unreadableMs!;
    this.#unreadableMs = undefined;
    this.#wait(nowMs, nowMs - sinceMs > forMs ? forMs : this.#untilMs - sinceMs);
  }

  #activate(sample: Sample): void {
    this.#state = 'active';
    this.#options.onChange(true, sample);
  }

  #clear(sample: Sample): void {
    this.#timer?.cancel();
    this.#unreadableMs = undefined;
    const wasActive = this.#state === 'active';
    this.#state = 'clear';
    if (wasActive) this.#options.onChange(false, sample);
  }
}
