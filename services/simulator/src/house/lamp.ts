import { reading } from '../plant/machine.ts';
import type { HouseDeviceKind } from './house-device.ts';

/** A lamp that can be dimmed. It changes by commands alone. */
export interface Lamp {
  readonly isOn: boolean;
  /** Per cent; kept while it is off. */
  readonly brightness: number;
}

const powerFullW = 9;
/** Of the receiver, which waits for commands. */
const powerIdleW = 0.3;

export const lamp: HouseDeviceKind<Lamp> = {
  start: (random) => ({ isOn: random() < 0.5, brightness: 40 + 10 * Math.floor(7 * random()) }),
  step: (state) => state,
  commands: {
    switches: { on: (state, value) => ({ ...state, isOn: value }) },
    setpoints: { brightness: { low: 1, high: 100, apply: (state, value) => ({ ...state, brightness: value }) } },
  },
  readings: ({ isOn, brightness }) => [
    { tag: 'on', value: isOn },
    reading('brightness', brightness, '%', 0),
    reading('power', powerIdleW + (isOn ? (powerFullW * brightness) / 100 : 0), 'W', 1),
  ],
};
