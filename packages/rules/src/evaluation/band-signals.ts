import { type BandReading, bandSeverity, LearntBand } from '../anomaly/learnt-band.ts';
import type { RuleCondition } from '../rule-condition.ts';
import type { BandSignalsState, Explanation, Signals } from './rule-signals.ts';

/** Whether a tag is outside of the band that was learnt from it. */
export class BandSignals implements Signals {
  readonly #tag: string;
  readonly #band: LearntBand;
  #last: BandReading | undefined;

  constructor({ tag, side }: RuleCondition & { kind: 'band' }, state: BandSignalsState | undefined) {
    this.#tag = tag;
    this.#band = new LearntBand(side, state?.band);
    this.#last = state?.last;
  }

  observe(values: (tag: string) => unknown, time: number): void {
    const value = values(this.#tag);
    this.#last = typeof value === 'number' ? this.#band.observe(time, value) : undefined;
  }

  signal(_index: number, _values: unknown, isActive: boolean): boolean | undefined {
    if (this.#last === undefined) return undefined;
    return this.#last.severity >= (isActive ? bandSeverity.clear : bandSeverity.raise);
  }

  explain(): Explanation | undefined {
    if (this.#last === undefined) return undefined;
    const { quantity, actual, expected, low, high } = this.#last;
    const isAbove = actual > expected;
    const [band, value] = [`${rounded(low)} to ${rounded(high)}`, rounded(actual)];
    return {
      limit: isAbove ? 'above' : 'below',
      limitValue: isAbove ? high : low,
      message: `${this.#tag}: expected ${quantity === 'mean' ? 'a mean of ' : ''}${band}, got ${value}`,
    };
  }

  state(): { readonly band: BandSignalsState } {
    return { band: { band: this.#band.state(), ...(this.#last === undefined ? {} : { last: this.#last }) } };
  }
}

/** Four digits are enough for people. */
function rounded(value: number): string {
  return String(Number(value.toPrecision(4)));
}
