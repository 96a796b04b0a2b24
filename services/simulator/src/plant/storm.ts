import type { Report } from '@tailrace/protocol/report';
import { calm, type MoodEffect, type MoodOptions } from './mood.ts';
import type { Random } from './random.ts';

/** A burst takes the first part of each period, s. */
const periodS = 300;
const burstS = 60;
/** Reports instead of one during a burst: of a device, and of the noisy device of an area. */
const burstReports = 10;
const noisyReports = 50;
/** Share of reports that are sent twice with the same ID, and that are sent late. */
const repeatedShare = 0.02;
const repeatedAfterMs = 1_000;
const lateShare = 0.01;
const lateS = { least: 5, most: 60 };
/** Beyond this number no further report is held back or repeated. */
const lateReportsMax = 2_000;

/** Sends bursts, repeats some reports with the same ID, and sends some late with their own time. */
export function createStorm({ areas, random, startMs }: MoodOptions): MoodEffect {
  const noisy = new Set(areas.map(({ devices }) => devices[Math.floor(random() * devices.length)]!));
  const idPrefix = `${startMs.toString(36)}${Math.floor(random() * 36 ** 4).toString(36)}-`;
  let elapsedS = 0;
  let ids = 0;
  let late: { readonly report: Report; readonly dueMs: number }[] = [];
  return {
    ...calm,
    advance(_timeMs, dtS) {
      elapsedS += dtS;
    },
    reportsAtOnce(device) {
      if (elapsedS % periodS >= burstS) return 1;
      return noisy.has(device) ? noisyReports : burstReports;
    },
    sent(reports, timeMs) {
      const sent = late.filter(({ dueMs }) => dueMs <= timeMs).map(({ report }) => report);
      late = late.filter(({ dueMs }) => dueMs > timeMs);
      for (const each of reports) {
        const report = { ...each, id: `${idPrefix}${ids++}` };
        const hasSpace = late.length < lateReportsMax;
        if (hasSpace && random() < lateShare) {
          late.push({ report, dueMs: timeMs + 1000 * between(lateS.least, lateS.most, random) });
          continue;
        }
        sent.push(report);
        // As a device does whose acknowledgment was lost.
        if (hasSpace && random() < repeatedShare) late.push({ report, dueMs: timeMs + repeatedAfterMs });
      }
      return sent;
    },
    unsent: () => late.map(({ report }) => report),
  };
}

function between(least: number, most: number, random: Random): number {
  return least + (most - least) * random();
}
