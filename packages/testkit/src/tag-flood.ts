import { encodeReport } from '@tailrace/protocol/report-proto';
import type { FloodReport } from './name-flood.ts';

export interface TagFlood {
  readonly device: string;
  /** Reports, and tags of each; no tag occurs twice. */
  readonly reports: number;
  readonly tags: number;
  /** Epoch ms: the time of the reports. */
  readonly timeMs: number;
}

/** Yields reports of one device with new tags only, as a sender with a token for a single path can invent them. */
export function* tagFlood({ device, reports, tags, timeMs }: TagFlood): Iterable<FloodReport> {
  for (let report = 0; report < reports; report++) {
    const readings = Array.from({ length: tags }, (_, i) => ({ tag: `t${report * tags + i}`, value: true }));
    yield { device, bytes: encodeReport({ device, time: timeMs, readings }) };
  }
}
