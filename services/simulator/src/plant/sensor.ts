import type { Reading } from '@tailrace/protocol/report';
import { happens, type Random } from './random.ts';

/**
 * The health of one sensor, as the quality of its readings shows it.
 * - `good`: intact.
 * - `uncertain`: the value drifts or is outside calibration; it is sent.
 * - `bad`: a broken wire or a shorted input; the last value is repeated, as a PLC does.
 */
export interface Sensor {
  readonly quality: 'good' | 'uncertain' | 'bad';
  /** Seconds until it is good again. */
  readonly failureS: number;
  readonly heldValue: Reading['value'] | undefined;
}

export const goodSensor: Sensor = { quality: 'good', failureS: 0, heldValue: undefined };

/** Mean time between failures of a sensor. With about 150 sensors one has nearly always failed. */
const failureEveryS = 7200;

/** Returns the sensor after `dtS` seconds. */
export function stepSensor(sensor: Sensor, dtS: number, random: Random): Sensor {
  if (sensor.failureS > 0) {
    const failureS = sensor.failureS - dtS;
    return failureS > 0 ? { ...sensor, failureS } : goodSensor;
  }
  if (!happens(random, dtS, failureEveryS)) return sensor;
  return { quality: random() < 0.7 ? 'uncertain' : 'bad', failureS: 10 + 35 * random(), heldValue: undefined };
}

/** Returns the reading as a sensor in this state sends it, and the sensor after it. */
export function sense(sensor: Sensor, reading: Reading): { sensor: Sensor; reading: Reading } {
  if (sensor.quality === 'good') return { sensor, reading };
  if (sensor.quality === 'uncertain') return { sensor, reading: { ...reading, quality: 'uncertain' } };
  const heldValue = sensor.heldValue ?? reading.value;
  return { sensor: { ...sensor, heldValue }, reading: { ...reading, value: heldValue, quality: 'bad' } };
}
