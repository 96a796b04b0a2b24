import type { Reading } from '@tailrace/protocol/report';
import { happens, type Random } from './random.ts';

/**
 * The health of one sensor, as it shows in the quality of its readings.
 * - `good`: as it should be.
 * - `uncertain`: the value is there but drifts or is outside calibration; still sent.
 * - `bad`: wire broken or input shorted; the last value is repeated, as a PLC does.
 */
export interface Sensor {
  readonly quality: 'good' | 'uncertain' | 'bad';
  /** Seconds until it is good again. */
  readonly faultS: number;
  readonly heldValue: Reading['value'] | undefined;
}

export const soundSensor: Sensor = { quality: 'good', faultS: 0, heldValue: undefined };

/** On average a sensor fails this often; with about 150 sensors in the plant there is nearly always one to see. */
const faultEveryS = 7200;

/** The sensor `dtS` later. */
export function stepSensor(sensor: Sensor, dtS: number, random: Random): Sensor {
  if (sensor.faultS > 0) {
    const faultS = sensor.faultS - dtS;
    return faultS > 0 ? { ...sensor, faultS } : soundSensor;
  }
  if (!happens(random, dtS, faultEveryS)) return sensor;
  return { quality: random() < 0.7 ? 'uncertain' : 'bad', faultS: 10 + 35 * random(), heldValue: undefined };
}

/** What a sensor in this state makes of a reading, and the sensor after it. */
export function sense(sensor: Sensor, reading: Reading): { sensor: Sensor; reading: Reading } {
  if (sensor.quality === 'good') return { sensor, reading };
  if (sensor.quality === 'uncertain') return { sensor, reading: { ...reading, quality: 'uncertain' } };
  const heldValue = sensor.heldValue ?? reading.value;
  return { sensor: { ...sensor, heldValue }, reading: { ...reading, value: heldValue, quality: 'bad' } };
}
