import type { Delivery } from './report.ts';
import type { Skipped } from './skipped.ts';

/** Deliveries to the clients of one view. */
export interface Data {
  /** The number of the view from `subscribed`. */
  readonly view: number;
  readonly reports: readonly Delivery[];
  /** Whether the reports are last values. Absent: false. */
  readonly snapshot?: boolean;
  /** Whether this is the last frame of a snapshot. Absent: false. */
  readonly snapshotComplete?: boolean;
  /** Whether the reports are history: requested by `from`, or the backlog of a pause or disconnect. Absent: false. */
  readonly replay?: boolean;
  /** Reports that were left out. Absent: none. */
  readonly skipped?: readonly Skipped[];
}

/** Fields of a frame beside its view and reports. */
export type FrameFlags = Pick<Data, 'snapshot' | 'snapshotComplete' | 'replay' | 'skipped'>;

/** The flags of most frames. */
export const noFlags: FrameFlags = /* @__PURE__ */ Object.freeze({});

/** Encodes a `data` message as JSON around texts of `deliveryJson`. */
export function dataFrameJson(view: number, deliveryJsonTexts: readonly string[], flags: FrameFlags): string {
  const { snapshot, snapshotComplete, replay, skipped } = flags;
  const complete = snapshotComplete === true ? ',"snapshotComplete":true' : '';
  const flagsText = `${snapshot === true ? ',"snapshot":true' : ''}${complete}${replay === true ? ',"replay":true' : ''}`;
  const skippedText = skipped === undefined || skipped.length === 0 ? '' : `,"skipped":${JSON.stringify(skipped)}`;
  return `{"data":{"view":${view}${flagsText}${skippedText},"reports":[${deliveryJsonTexts.join(',')}]}}`;
}

/** Returns the data without default values. */
export function dataOf(
  view: number,
  reports: readonly Delivery[],
  flags: { readonly [K in keyof FrameFlags]: FrameFlags[K] | undefined },
): Data {
  const { snapshot, snapshotComplete, replay, skipped } = flags;
  // The usual case.
  if (!snapshot && !snapshotComplete && !replay && skipped === undefined) return { view, reports };
  return {
    view,
    reports,
    ...(snapshot ? { snapshot } : {}),
    ...(snapshotComplete ? { snapshotComplete } : {}),
    ...(replay ? { replay } : {}),
    ...(skipped === undefined ? {} : { skipped }),
  };
}
