import type { AlarmTransition } from '../lifecycle/alarm-transition.ts';

/**
 * ISA-18.2, annex on performance: an alarm chatters if it is raised three times within a minute. A fleeting one returns
 * so soon that no person can have acted on it.
 */
export const qualityLimits = { chatterRaises: 3, chatterWindowMs: 60_000, fleetingMs: 5_000 } as const;

export type AlarmQuality = 'chattering' | 'fleeting';

/** Times of the last activations of one rule at one device, epoch ms, oldest first. */
export type AlarmQualityState = readonly number[];

/** Finds out whether the alarm of one rule at one device is of use: that needs another limit, delay or hysteresis. */
export class AlarmQualityCheck {
  #raised: number[];

  constructor(state: AlarmQualityState = []) {
    this.#raised = [...state];
  }

  /** Takes each transition of the rule at the device. Returns what it shows about the alarm; undefined: nothing. */
  take({ cause, time, activated }: Pick<AlarmTransition, 'cause' | 'time' | 'activated'>): AlarmQuality | undefined {
    if (cause === 'raised') {
      this.#raised.push(time);
      if (this.#raised.length > qualityLimits.chatterRaises) this.#raised.shift();
      const isFull = this.#raised.length === qualityLimits.chatterRaises;
      return isFull && time - this.#raised[0]! <= qualityLimits.chatterWindowMs ? 'chattering' : undefined;
    }
    return cause === 'returned' && time - activated < qualityLimits.fleetingMs ? 'fleeting' : undefined;
  }

  state(): AlarmQualityState {
    return [...this.#raised];
  }
}
