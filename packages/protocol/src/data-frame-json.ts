import type { Delivery } from './report.ts';
import type { Skipped } from './skipped.ts';

/** Deliveries to the clients of one view. */
export interface Data {
  /** The number that `subscribed` gave. */
  readonly view: number;
  readonly reports: readonly Delivery[];
  /** Last values, not news. Absent: false. */
  readonly snapshot?: boolean;
  /** The last frame of a snapshot. Absent: false. */
  readonly snapshotComplete?: boolean;
  /** Of the past: asked for by `from`, or missed. Absent: false. */
  readonly replay?: boolean;
  /** What is not among the reports although it came. Absent: nothing. */
  readonly skipped?: readonly Skipped[];
}

/** What a frame says beside its view and reports. */
export type FrameFlags = Pick<Data, 'snapshot' | 'snapshotComplete' | 'replay' | 'skipped'>;

/** Of most frames: nothing. */
export const noFlags: FrameFlags = /* @__PURE__ */ Object.freeze({});

/** A `data` message in JSON around texts of `deliveryJson`. */
export function dataFrameJson(view: number, deliveryJsonTexts: readonly string[], marks: FrameFlags): string {
  const { snapshot, snapshotComplete, replay, skipped } = marks;
  const complete = snapshotComplete === true ? ',"snapshotComplete":true' : '';
  const flags = `${snapshot === true ? ',"snapshot":true' : ''}${complete}${replay === true ? ',"replay":true' : ''}`;
  const left = skipped === undefined || skipped.length === 0 ? '' : `,"skipped":${JSON.stringify(skipped)}`;
  return `{"data":{"view":${view}${flags}${left},"reports":[${deliveryJsonTexts.join(',')}]}}`;
}

/** Without what says nothing. */
export function dataOf(
  view: number,
  reports: readonly Delivery[],
  marks: { readonly [K in keyof FrameFlags]: FrameFlags[K] | undefined },
): Data {
  const { snapshot, snapshotComplete, replay, skipped } = marks;
  // Most frames say nothing more.
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
