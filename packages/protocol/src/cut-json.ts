import { deliveriesFrom, type UnreadableListener } from './deliveries.ts';
import { booleanOf, countOf, type Fields, listFrom, numberOf, textOf } from './message-fields.ts';
import { partitionsFrom } from './presence.ts';
import type { Delivery } from './report.ts';
import { deliveryJson } from './report-json.ts';

/** Everything of a channel as of one moment. */
export interface Cut {
  readonly view: number;
  /** Epoch ms by ingest's clock. */
  readonly at: number;
  /** The last values as of then; a device's may take several reports. */
  readonly reports: readonly Delivery[];
  /** Devices whose reports of before came after their cut had been sent. Absent: none. */
  readonly late?: readonly string[];
  /** Partitions that were not waited for any longer. Absent: none. */
  readonly missing?: readonly number[];
  /** Of a cut that comes in several frames: 0, 1, 2 … `late` and `missing` are with the first. Absent: 0. */
  readonly page?: number;
  /** It goes on in the next frame. Absent: false. */
  readonly more?: boolean;
}

/** A `cut` message in JSON around texts of `deliveryJson`. */
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

/** Throws `invalid_message`; for a report as `deliveriesFrom`. */
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

/** Without what says nothing. */
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
