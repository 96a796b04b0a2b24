import type { Clock } from '@tailrace/platform/clock';
import type { Sample, SampleSink } from '../sample.ts';
import { SampleOrder } from './sample-order.ts';
import { SwingingDoor } from './swinging-door.ts';

/** Which samples of a tag are sent: those of another quality, and numbers that differ by enough. */
export interface FilterOptions {
  /** At most one of the next three. Without any, every change is sent. */
  readonly deadband?: number;
  /** Percent of `range`. */
  readonly deadbandPercent?: number;
  readonly range?: readonly [low: number, high: number];
  /** Greatest deviation of the samples that are left out from the line of those that are sent. */
  readonly swingingDoor?: number;
  /** A sample is sent at the latest this time after the one before, ms. */
  readonly maxSilenceMs: number;
  /** Of tags of alarms: every sample is sent. */
  readonly bypass?: boolean;
}

/**
 * Decides which samples of a tag are sent.
 *
 * The heartbeat makes "unchanged" and "dead" differ: an unchanged value is sent again after `maxSilenceMs`. It takes a
 * sample to send it, and a source makes samples only of values that it has read. A tag that cannot be read has one
 * sample of quality bad.
 *
 * A late sample is sent, because what was decided cannot be changed. After a clock that was set back, samples are late
 * for 10 s at most; then the filter starts again, with a sample that is sent (`SampleOrder`).
 */
export class TagFilter {
  readonly #options: FilterOptions;
  readonly #send: SampleSink;
  readonly #deadband: number;
  readonly #swingingDoor: SwingingDoor | undefined;
  /** The newest sample, and the newest that was sent. */
  #latest: Sample | undefined;
  #sent: Sample | undefined;
  /** When that was, monotonic ms. */
  #sentMs = 0;
  readonly #order = new SampleOrder();
  readonly #clock: Pick<Clock, 'monotonic'>;
  /** The newest one that the swinging door holds back. */
  #held: Sample | undefined;
  #lastGood: Sample | undefined;

  constructor(options: FilterOptions, send: SampleSink, clock: Pick<Clock, 'monotonic'>) {
    this.#options = options;
    this.#clock = clock;
    this.#send = send;
    this.#deadband = deadbandOf(options);
    this.#swingingDoor = options.swingingDoor === undefined ? undefined : new SwingingDoor(options.swingingDoor);
  }

  /** Takes a sample, and sends it and the one that was held, or none. */
  take(sample: Sample): void {
    if (sample.quality !== 'bad') this.#lastGood = sample;
    const order = this.#order.take(sample.time, this.#clock.monotonic());
    if (order === 'late') {
      // It is older than what was decided already.
      this.#send(this.#withValue(sample));
      return;
    }
    if (order === 'set_back') {
      this.#latest = sample;
      this.#pass(sample);
    } else if (this.#passes(sample)) this.#pass(sample);
    else if (this.#swingingDoor !== undefined) this.#held = sample;
  }

  /**
   * Sends the held sample if `maxSilenceMs` has passed since one was sent, for tags that have a sample only when they
   * change.
   */
  due(): void {
    const held = this.#held;
    if (held === undefined || this.#clock.monotonic() - this.#sentMs < this.#options.maxSilenceMs) return;
    this.#held = undefined;
    this.#pass(held);
  }

  /** Sends what is held, as at a stop. */
  flush(): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    this.#pass(held);
  }

  #passes(sample: Sample): boolean {
    const sent = this.#sent;
    const { bypass, maxSilenceMs } = this.#options;
    const { quality, value, time } = sample;
    const beforeMs = this.#latest?.time ?? time;
    this.#latest = sample;
    if (sent === undefined || bypass === true) return true;
    if (quality !== sent.quality || sample.reason !== sent.reason) return true;
    if (time - sent.time >= maxSilenceMs) {
      // The held one is not needed on a line that goes on, but it is before a long time without samples.
      if (time - beforeMs <= 2 * maxSilenceMs && !this.#isBreak(sample)) this.#held = undefined;
      return true;
    }
    if (typeof value !== 'number' || typeof sent.value !== 'number') return value !== sent.value;
    if (this.#swingingDoor !== undefined) return this.#isBreak(sample);
    return Math.abs(value - sent.value) > this.#deadband;
  }

  #isBreak({ time, value }: Sample): boolean {
    return this.#swingingDoor !== undefined && typeof value === 'number' && !this.#swingingDoor.hold({ time, value });
  }

  #pass(sample: Sample): void {
    if (this.#held !== undefined) this.#send(this.#held);
    this.#held = undefined;
    this.#sent = sample;
    this.#sentMs = this.#clock.monotonic();
    if (typeof sample.value === 'number') {
      this.#swingingDoor?.restart({ time: sample.time, value: sample.value });
    }
    this.#send(this.#withValue(sample));
  }

  /** A reading has a value: without one it repeats the last good one, or has the reason as text. */
  #withValue(sample: Sample): Sample {
    if (sample.value !== undefined) return sample;
    return { ...sample, value: this.#lastGood?.value ?? sample.reason ?? 'no_value' };
  }
}

function deadbandOf({ deadband, deadbandPercent, range }: FilterOptions): number {
  if (deadbandPercent === undefined || range === undefined) return deadband ?? 0;
  return (deadbandPercent / 100) * (range[1] - range[0]);
}
