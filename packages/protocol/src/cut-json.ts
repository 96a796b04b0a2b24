import { deliveriesFrom, type UnreadableListener } from './deliveries.ts';
import { booleanOf, countOf, type Fields, listFrom, numberOf, textOf } from './message-fields.ts';
import { partitionsFrom } from './presence.ts';
import type { Delivery } from './report.ts';
import { deliveryJson } from './report-json.ts';

/** A consistent cut: the last values of a channel as of one time. */
export interface Cut {
  readonly view: number;
  /** Epoch ms by ingest's clock. */
  readonly at: number;
  /** Last values as of `at`; those of one device may take several reports. */
  readonly reports: readonly Delivery[];
  /** Devices with reports of an earlier cut that were received after it was sent. Absent: none. */
  readonly late?: readonly string[];
  /** Partitions whose watermark had not passed `at` when the wait expired. Absent: none. */
  readonly missing?: readonly number[];
  /** Index of the frame in a cut of several frames, from 0. `late` and `missing` are in the first. Absent: 0. */
  readonly page?: number;
  /** Whether the cut continues in the next frame. Absent: false. */
  readonly more?: boolean;
}

/** Encodes a `cut` message as JSON around texts of `deliveryJson`. */
export function cutFrameJson(cut: Omit<Cut, 'reports'>, deliveryJsonTexts: readonly string[]): string {
  const { view, at, late = [], missing = [], page = 0, more = false } = cut;
  const pageText = `${page === 0 ? '' : `,"page":${page}`}${more ? ',"more":true' : ''}`;
  const lateText = late.length === 0 ? '' : `,"late":${JSON.stringify(late)}`;
  const missingText = missing.length === 0 ? '' : `,"missing":${JSON.stringify(missing)}`;
  return `{"cut":{"view":${view},"at":${at}${pageText}${lateText}${missingText},"reports":[${deliveryJsonTexts.join(',')}]}}`;
}

export function cutJson(cut: Cut): string {
  const texts = cut.reports.map((report) => deliveryJson(report, report.partition, report.seq, report.delta));
  return cutFrameJson(cut, texts);
}

/** Parses a cut. Throws `invalid_message`; for a report as `deliveriesFrom` does. */
export function cutFrom(fields: Fields, onUnreadable?: UnreadableListener): Cut {
  const late = listFrom(fields['late'], 'cut.late').map((device) => textOf({ device }, 'device', 'cut.late'));
  return cutOf(
    countOf(fields, 'view', 'cut', 0),
    numberOf(fields, 'at', 'cut', 0),
    deliveriesFrom(fields['reports'], 'cut.reports', onUnreadable),
    late,
    partitionsFrom(fields['missing'], 'cut.missing'),
    countOf(fields, 'page', 'cut', 0),
    booleanOf(fields, 'more', 'cut', false),
  );
}

/** Returns the cut without empty lists and default values. */
export function cutOf(
  view: number,
  at: number,
  reports: readonly Delivery[],
  late: readonly string[],
  missing: readonly number[],
  page: number,
  more: boolean,
): Cut {
  return {
    view,
    at,
    reports,
    ...(late.length === 0 ? {} : { late }),
    ...(missing.length === 0 ? {} : { missing }),
    ...(page === 0 ? {} : { page }),
    ...(more ? { more } : {}),
  };
}
