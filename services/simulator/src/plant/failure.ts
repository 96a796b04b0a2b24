import type { Reading } from '@tailrace/protocol/report';
import { calm, type MoodEffect, type MoodOptions } from './mood.ts';
import { gaussian, type Random } from './random.ts';

/**
 * A temperature that announces a failure, in the style of `machine_temperature_system_failure` of the Numenta Anomaly
 * Benchmark: a planned stop, then a slow rise that is hard to see, then the failure. Its weeks become 20 minutes; the
 * curve is our own. The cycle repeats.
 */
export interface FailurePhase {
  readonly phase: 'normal' | 'planned stop' | 'rise' | 'ramp' | 'tripped';
  /** Added to the temperature, K. */
  readonly risenK: number;
  /** Factor of the sensor's noise. */
  readonly noise: number;
  /** Whether the sensor is read outside of its calibration. */
  readonly isUncertain: boolean;
}

const cycleS = 1200;
const plannedStopS = { from: 120, until: 240 };
const riseFromS = 360;
const rampFromS = 960;
const tripFromS = 1080;
const riseK = 6;
const rampK = 25;
const coolingTauS = 60;
const uncertainS = 30;

/** Returns the phase `elapsedS` seconds after the start of the mood. */
export function failurePhase(elapsedS: number): FailurePhase {
  const second = elapsedS % cycleS;
  const calmPhase = { risenK: 0, noise: 1, isUncertain: false };
  if (second < riseFromS) {
    const isStop = second >= plannedStopS.from && second < plannedStopS.until;
    return { ...calmPhase, phase: isStop ? 'planned stop' : 'normal' };
  }
  if (second < rampFromS) {
    const part = (second - riseFromS) / (rampFromS - riseFromS);
    return { phase: 'rise', risenK: riseK * part ** 2, noise: 1 + 2 * part, isUncertain: false };
  }
  if (second < tripFromS) {
    const part = (second - rampFromS) / (tripFromS - rampFromS);
    return { phase: 'ramp', risenK: riseK + rampK * part, noise: 3, isUncertain: false };
  }
  const sinceS = second - tripFromS;
  const risenK = (riseK + rampK) * Math.exp(-sinceS / coolingTauS);
  return { phase: 'tripped', risenK, noise: 1, isUncertain: sinceS < uncertainS };
}

/** The machines that fail, the temperature that announces it, and the noise of its sensor, K. */
const failing = [
  { device: 'plant1.line1.spindle1', tag: 'bearing_temperature', noiseK: 0.2 },
  { device: 'plant1.utility.oven1', tag: 'temperature', noiseK: 0.3 },
] as const;

/** Lets the spindle of line 1 and the oven of the utilities fail. Both stop in the planned stop and after the trip. */
export function createFailure({ random }: MoodOptions): MoodEffect {
  let elapsedS = 0;
  let phase = failurePhase(0);
  return {
    ...calm,
    advance(_timeMs, dtS) {
      elapsedS += dtS;
      phase = failurePhase(elapsedS);
    },
    load(device, load) {
      const isStopped = phase.phase === 'planned stop' || phase.phase === 'tripped';
      return isStopped && failing.some((each) => each.device === device) ? 0 : load;
    },
    readings(device, readings) {
      const machine = failing.find((each) => each.device === device);
      if (machine === undefined) return readings;
      return readings.map((reading) => {
        if (reading.tag === 'state' && phase.phase === 'tripped') return { ...reading, value: 'tripped' };
        return reading.tag === machine.tag ? heated(reading, phase, machine.noiseK, random) : reading;
      });
    },
  };
}

function heated(reading: Reading, phase: FailurePhase, noiseK: number, random: Random): Reading {
  if (typeof reading.value !== 'number') return reading;
  const noise = (phase.noise - 1) * noiseK * gaussian(random);
  const value = Math.round((reading.value + phase.risenK + noise) * 10) / 10;
  return { ...reading, value, ...(phase.isUncertain && reading.quality !== 'bad' ? { quality: 'uncertain' } : {}) };
}
