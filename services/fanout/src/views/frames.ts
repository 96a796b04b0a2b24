import { type FrameFlags, noFlags } from '@tailrace/protocol/server-message';
import type { Skipped } from '@tailrace/protocol/skipped';
import type { Conflated } from './conflation.ts';
import type { Publication } from './publication.ts';
import type { View } from './view.ts';

/** The size of a frame to one client outside the topic: no frame occupies the socket for long. */
export const frameBytesMax: number = 64 * 1024;

/** An encoded data frame, and the reports in it. */
export interface EncodedFrame {
  readonly frame: string | Uint8Array;
  readonly reports: readonly Publication[];
}

/** The number of reports after which `encodedFrames` may be interrupted: less than a millisecond. */
const reportsPerStep = 100;

/**
 * Encodes reports in frames of at most `frameBytesMax`, or one report. Each report is read and encoded when its frame
 * is requested. Undefined: no frame is ready yet, and other work may come first.
 */
export function* encodedFrames(
  view: View,
  reports: Iterable<Publication>,
  flags: FrameFlags,
): Iterable<EncodedFrame | undefined> {
  let some: Publication[] = [];
  let bytes = 0;
  for (const report of reports) {
    const size = sizeIn(view, report);
    if (bytes + size > frameBytesMax && some.length > 0) {
      yield { frame: view.frame(some, flags), reports: some };
      some = [];
      bytes = 0;
    }
    some.push(report);
    bytes += size;
    if (some.length % reportsPerStep === 0) yield undefined;
  }
  if (some.length > 0) yield { frame: view.frame(some, flags), reports: some };
}

/**
 * Encodes conflated reports in frames, so that after each of them the client is complete: a skipped report is named at
 * the latest in the frame that has a newer report of the partition. So a client that is disconnected between two frames
 * has its position from what it received.
 */
export function* conflatedFrames(view: View, conflated: Conflated<Publication>): Iterable<EncodedFrame> {
  const { logReports, skipped } = conflated;
  let reports: Publication[] = [];
  let named: Skipped[] = [];
  let bytes = 0;
  let next = 0;
  const isFull = (size: number) => bytes > 0 && bytes + size > frameBytesMax;
  const endFrame = () => {
    const flags = named.length === 0 ? noFlags : { skipped: named };
    const encoded = { frame: view.frame(reports, flags), reports };
    reports = [];
    named = [];
    bytes = 0;
    return encoded;
  };
  for (const report of logReports) {
    for (; next < skipped.length && isBefore(skipped[next]!, report); next++) {
      if (isFull(skippedSize(skipped[next]!))) yield endFrame();
      named.push(skipped[next]!);
      bytes += skippedSize(skipped[next]!);
    }
    if (isFull(sizeIn(view, report))) yield endFrame();
    reports.push(report);
    bytes += sizeIn(view, report);
  }
  for (const each of skipped.slice(next)) {
    if (isFull(skippedSize(each))) yield endFrame();
    named.push(each);
    bytes += skippedSize(each);
  }
  if (bytes > 0) yield endFrame();
}

/** Returns the encoded size of a report in a view, bytes. */
export function sizeIn(view: View, report: Publication): number {
  return view.encoding === 'json' ? Buffer.byteLength(report.json) : report.delivery.length;
}

function isBefore(skipped: Skipped, report: Publication): boolean {
  return skipped.partition < report.partition || (skipped.partition === report.partition && skipped.from < report.seq);
}

/** Estimates the size in JSON: four numbers a tag. */
function skippedSize(skipped: Skipped): number {
  return 100 + skipped.device.length + (skipped.tags ?? []).reduce((sum, { tag }) => sum + 90 + tag.length, 0);
}
