import { Season, type SeasonState } from './season.ts';

/**
 * A band that learns from the values of one tag where they usually are, for alarms without limits set by people.
 *
 * Expected is the level, a slow mean, or where it has proven nearer, the usual value at this time of the day or of the
 * week (`Season`). Four to six distances are watched: of the value, and of the mean of the last readings, each from the
 * level and from the seasons. A single value shows a spike, a mean shows a shift that is smaller than the noise.
 *
 * The limit of a distance is the widest one of the last weeks: what is farther has not been there. It forgets slowly,
 * and grows with a reading by at most a fifth: so that one outlier does not hide the next, and a shift that
 * lasts becomes usual after some readings. The severity of a reading is its distance in limits: 1.2 is a fifth farther
 * than any lately.
 *
 * Sources: the mean is the EWMA chart of Roberts (1959), made robust by clipping, as Gelper, Fried and Croux do for
 * Holt-Winters (2010); beyond the range seen so far with a margin is the "spatial anomaly" of Numenta's detector (Ahmad
 * et al. 2017). A limit by the spread of values or by an extreme-value tail (Siffer et al. 2017) was tried: it needs
 * another threshold for each kind of tag.
 *
 * Time is event time. A reading costs O(1), and the state has less than 2 KB, for any rate of reports: what is learnt
 * goes by readings where they are rare, and by time where they are frequent.
 */
export class LearntBand {
  readonly #side: BandSide;
  #readings = 0;
  #firstMs = 0;
  #lastMs = 0;
  #level = 0;
  #mean = 0;
  /** Mean distance from the level, robust: it limits how far one reading moves what is learnt. */
  #spread = 0;
  #low = 0;
  #high = 0;
  readonly #limits: number[];
  readonly #seasons: readonly [Season, Season];

  constructor(side: BandSide = 'both', state?: LearntBandState) {
    this.#side = side;
    this.#limits = state === undefined ? Array(6).fill(0) : [...state.limits];
    this.#seasons = [new Season(dayMs, 48, state?.day), new Season(7 * dayMs, 168, state?.week)];
    if (state === undefined) return;
    [this.#readings, this.#firstMs, this.#lastMs] = state.readings;
    [this.#level, this.#mean, this.#spread] = state.level;
    [this.#low, this.#high] = state.range;
  }

  /**
   * Compares a value with what was learnt before, and learns it. A reading that is older than the last one is compared
   * only. Undefined during the warm-up, of a day and 100 readings, and of a value that is not finite.
   *
   * @param timeMs Source time, epoch ms.
   */
  observe(timeMs: number, value: number): BandReading | undefined {
    if (!Number.isFinite(value) || !Number.isFinite(timeMs)) return undefined;
    if (this.#readings === 0) this.#start(timeMs, value);
    const elapsedMs = timeMs - this.#lastMs;
    const isLate = elapsedMs < 0;
    const isWarm = this.#readings >= warmUp.readings && timeMs - this.#firstMs >= warmUp.ms;
    const comparison = new Comparison(this.#side, this.#limits, {
      // What is smaller is the resolution or the accuracy of the sensor.
      floor: Math.max(floor.ofRange * (this.#high - this.#low), floor.ofValue * Math.abs(value), floor.ever),
      fade: isLate ? 1 : Math.exp(-Math.min(1 / memory.readings, elapsedMs / memory.ms)),
      growth: isLate || this.#readings < firstReadings ? 0 : isWarm ? growthMax : Number.POSITIVE_INFINITY,
    });
    const { meanStep, levelStep } = this.#steps(isLate ? 0 : elapsedMs);
    const fromLevel = value - this.#level;
    if (!isLate) this.#mean += meanStep * (value - this.#mean);
    comparison.take(0, 'value', value, this.#level, true);
    comparison.take(1, 'mean', this.#mean, this.#level, true);
    this.#compareSeasons(comparison, timeMs, value, isLate ? undefined : meanStep);
    if (!isLate) this.#learn(timeMs, value, levelStep, fromLevel);
    return isWarm ? comparison.result() : undefined;
  }

  #start(timeMs: number, value: number): void {
    this.#firstMs = timeMs;
    this.#lastMs = timeMs;
    this.#level = value;
    this.#mean = value;
    this.#low = value;
    this.#high = value;
  }

  #steps(elapsedMs: number): { meanStep: number; levelStep: number } {
    const readings = this.#readings + 1;
    return {
      meanStep: Math.max(1 / readings, Math.min(meanShare, (2 * elapsedMs) / mean.ms)),
      levelStep: Math.max(1 / readings, Math.min(1 / level.readings, elapsedMs / level.ms)),
    };
  }

  #compareSeasons(comparison: Comparison, timeMs: number, value: number, meanStep: number | undefined): void {
    const most = clip * this.#spread;
    // The day has to prove itself against the level, and the week against the better one of both.
    let nearest = value - this.#level;
    for (const [index, season] of this.#seasons.entries()) {
      const expected = season.expected(timeMs);
      if (expected === undefined) continue;
      const distance = value - expected;
      if (meanStep !== undefined) {
        season.compare(distance, nearest, most);
        season.mean += meanStep * (distance - season.mean);
      }
      const isUsed = season.isProven && timeMs - this.#firstMs >= provenMs[index]!;
      const first = 2 + 2 * index;
      comparison.take(first, 'value', value, expected, isUsed);
      comparison.take(first + 1, 'mean', expected + season.mean, expected, isUsed);
      if (isUsed) nearest = distance;
    }
  }

  #learn(timeMs: number, value: number, levelStep: number, fromLevel: number): void {
    this.#readings++;
    this.#lastMs = timeMs;
    const isFirst = this.#readings < firstReadings;
    const most = isFirst ? Number.POSITIVE_INFINITY : clip * this.#spread;
    this.#spread += levelStep * (Math.min(Math.abs(fromLevel), most) - this.#spread);
    for (const season of this.#seasons) season.learn(timeMs, value, clip * this.#spread);
    const step = isFirst ? Number.POSITIVE_INFINITY : clip * this.#spread;
    this.#level += levelStep * Math.max(-step, Math.min(step, fromLevel));
    this.#low = Math.min(this.#low, value);
    this.#high = Math.max(this.#high, value);
  }

  /** Returns what was learnt. A band with this state continues as this one would. */
  state(): LearntBandState {
    return {
      readings: [this.#readings, this.#firstMs, this.#lastMs],
      level: [this.#level, this.#mean, this.#spread],
      range: [this.#low, this.#high],
      limits: [...this.#limits],
      day: this.#seasons[0].state(),
      week: this.#seasons[1].state(),
    };
  }
}

/** Which side of the band counts. */
export type BandSide = 'both' | 'above' | 'below';

/** How a reading compares with what was learnt before it. */
export interface BandReading {
  /** Distance from what was expected, in limits: above 1 it is outside. Of the quantity with the largest one. */
  readonly severity: number;
  /** What is compared: the value itself, or the mean of the last 12 readings or of the last hour, if that is longer. */
  readonly quantity: 'value' | 'mean';
  readonly actual: number;
  readonly expected: number;
  /** The band of the quantity. */
  readonly low: number;
  readonly high: number;
}

/** What a band has learnt, as plain data that survives JSON. */
export interface LearntBandState {
  readonly readings: readonly [number: number, firstMs: number, lastMs: number];
  readonly level: readonly [level: number, mean: number, spread: number];
  readonly range: readonly [low: number, high: number];
  readonly limits: readonly number[];
  readonly day: SeasonState;
  readonly week: SeasonState;
}

/**
 * The severity from which a reading is an alarm, and below which the alarm returns. On the Numenta benchmark the score
 * hardly depends on it from 1.2 to 1.5; a larger one has fewer false alarms.
 */
export const bandSeverity = { raise: 1.3, clear: 1 } as const;

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** The first day shows a range; a first limit from less would be exceeded each hour. */
const warmUp = { readings: 100, ms: dayMs } as const;
/** How long limits last: the longer one of both. */
const memory = { readings: 6000, ms: 14 * dayMs } as const;
/** How far a limit grows with a reading. */
const growthMax = 1.2;
const mean = { readings: 12, ms: hourMs } as const;
/** How much a reading moves the mean, as a weight, where reports are rare. */
const meanShare = 2 / (mean.readings + 1);
const level = { readings: 500, ms: dayMs } as const;
const floor = { ofRange: 0.01, ofValue: 0.001, ever: 1e-12 } as const;
/** Of a tag that was always 0. Finite, so that it survives JSON. */
const severityMax = 1e6;
/** No reading moves what is learnt as if it were farther than this many spreads. */
const clip = 5;
/** Until then there is no spread to clip by, and the level is where the tag happened to start: limits learn nothing. */
const firstReadings = 20;
/** A profile is complete after one period. It is compared for some time before it is used. */
const provenMs = [3 * dayMs, 14 * dayMs] as const;

/** Finds the largest severity among the distances of one reading, and moves their limits. */
class Comparison {
  readonly #side: BandSide;
  readonly #limits: number[];
  readonly #terms: { readonly floor: number; readonly fade: number; readonly growth: number };
  #severity = -1;
  #quantity: BandReading['quantity'] = 'value';
  #actual = 0;
  #expected = 0;
  #limit = 0;

  constructor(side: BandSide, limits: number[], terms: { floor: number; fade: number; growth: number }) {
    this.#side = side;
    this.#limits = limits;
    this.#terms = terms;
  }

  /** Takes a distance, and moves its limit. If it is not used yet, it is only learnt. */
  take(index: number, quantity: BandReading['quantity'], actual: number, expected: number, isUsed: boolean): void {
    const { floor, fade, growth } = this.#terms;
    const distance = actual - expected;
    const limit = Math.max(this.#limits[index]!, floor);
    if (growth > 0) {
      // A mean moves slowly: a limit that grew as fast would always be there first.
      this.#limits[index] = Math.max(
        this.#limits[index]! * fade,
        Math.min(Math.abs(distance), limit * (quantity === 'mean' ? growth ** meanShare : growth)),
      );
    }
    const counts = this.#side === 'both' || (this.#side === 'above' ? distance > 0 : distance < 0);
    const severity = counts ? Math.min(Math.abs(distance) / limit, severityMax) : 0;
    // Of equal ones the last: a season is more precise than the level.
    if (!isUsed || severity < this.#severity) return;
    this.#severity = severity;
    this.#quantity = quantity;
    this.#actual = actual;
    this.#expected = expected;
    this.#limit = limit;
  }

  result(): BandReading {
    return {
      severity: this.#severity,
      quantity: this.#quantity,
      actual: this.#actual,
      expected: this.#expected,
      low: this.#expected - this.#limit,
      high: this.#expected + this.#limit,
    };
  }
}
