import type { BandReading, LearntBandState } from '../anomaly/learnt-band.ts';
import type { RateWindowState } from './rate-window.ts';
import type { TagValues } from './tag-table.ts';

/** Whether the conditions of a rule hold at a device, before delays. */
export interface Signals {
  /** Takes the present values, after a reading of a tag of the rule. Called once for each time of a report. */
  observe(values: TagValues, time: number): void;
  /** Returns whether the condition with this index holds; undefined: unknown. `isActive`: it held before. */
  signal(index: number, values: TagValues, isActive: boolean): boolean | undefined;
  /** What the next reading depends on, as plain data; undefined: nothing. */
  state(): SignalsState | undefined;
  /** Returns what was expected of the last reading, of a kind without limits of its own; undefined: unknown. */
  explain?(): Explanation | undefined;
}

/** Instead of the limit of a condition. The message is for rules without a template. */
export interface Explanation {
  readonly limit: string;
  readonly limitValue: number;
  readonly message: string;
}

export interface SignalsState {
  readonly rate?: RateWindowState;
  readonly band?: BandSignalsState;
}

export interface BandSignalsState {
  readonly band: LearntBandState;
  /** How the last reading compares; absent: the band warms up. */
  readonly last?: BandReading;
}
