import { calm, type MoodEffect, type MoodOptions } from './mood.ts';
import { shiftSecond } from './shift.ts';

/** Sensors that can drift: the first machine of a kind, the tag, and the span of the sensor in its unit. */
const sensors = [
  { machine: 'press1', tag: 'oil_temperature', span: 60 },
  { machine: 'spindle1', tag: 'bearing_temperature', span: 80 },
  { machine: 'oven1', tag: 'temperature', span: 250 },
  { machine: 'compressor1', tag: 'outlet_temperature', span: 100 },
  { machine: 'robot1', tag: 'gear_temperature', span: 60 },
] as const;

/** Part of the span by which a sensor drifts: 2 % an hour of an eight-hour shift, which takes eight minutes here. */
const spanPerS = 0.02 / 60;

/** Lets one sensor of each area drift from now, or the start of its shift, until the next shift, with good quality. */
export function createDrift({ areas, random, startMs }: MoodOptions): MoodEffect {
  const drifting = areas.map(({ devices, shiftOffsetS }) => {
    const candidates = sensors.flatMap(({ machine, tag, span }) => {
      const device = devices.find((each) => each.endsWith(`.${machine}`));
      return device === undefined ? [] : [{ device, tag, span }];
    });
    return { ...candidates[Math.floor(random() * candidates.length)]!, shiftOffsetS };
  });
  let nowMs = startMs;
  return {
    ...calm,
    advance(timeMs) {
      nowMs = timeMs;
    },
    readings(device, readings) {
      const drift = drifting.find((each) => each.device === device);
      if (drift === undefined) return readings;
      const sinceS = Math.min((nowMs - startMs) / 1000, shiftSecond(nowMs, drift.shiftOffsetS));
      const offset = drift.span * spanPerS * sinceS;
      return readings.map((reading) =>
        reading.tag === drift.tag && typeof reading.value === 'number'
          ? { ...reading, value: Math.round((reading.value + offset) * 10) / 10 }
          : reading,
      );
    },
  };
}
