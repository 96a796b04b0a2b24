import { calm, type MoodEffect, type MoodOptions } from './mood.ts';
import { happens } from './random.ts';

/** Mean time between two interruptions of a link, and how long one takes: `least` and an exponential part, s. */
const interruptedEveryS = 120;
const interruption = { least: 5, mean: 20, most: 90 };
/** A unit on a serial bus that does not answer for the first part of each period, s. */
const periodicDevice = 'plant1.utility.meter3';
const periodic = { every: 120, takes: 30 };

/** Interrupts the link of each device from time to time. */
export function createDropout({ areas, random }: MoodOptions): MoodEffect {
  /** Seconds until the link is back; 0: it is there. */
  const interrupted = new Map(areas.flatMap(({ devices }) => devices.map((device) => [device, 0])));
  let elapsedS = 0;
  return {
    ...calm,
    advance(_timeMs, dtS) {
      elapsedS += dtS;
      for (const [device, restS] of interrupted) {
        if (restS > 0) interrupted.set(device, Math.max(0, restS - dtS));
        else if (happens(random, dtS, interruptedEveryS)) {
          const takesS = interruption.least - interruption.mean * Math.log(1 - random());
          interrupted.set(device, Math.min(takesS, interruption.most));
        }
      }
    },
    isLinked(device) {
      if (device === periodicDevice) return elapsedS % periodic.every >= periodic.takes;
      return (interrupted.get(device) ?? 0) === 0;
    },
  };
}
