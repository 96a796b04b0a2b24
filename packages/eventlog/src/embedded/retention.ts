import type { TopicSpec } from '../event-log.ts';
import type { StoredPartition } from '../local/store.ts';

export interface RecordSummary {
  readonly seq: number;
  readonly timeMs: number;
  /** Bytes of the record. */
  readonly bytes: number;
  /** Bytes of all records of the partition up to and including this one. */
  readonly sumBytes: number;
}

/** Returns the first record at `seq` or later. */
export type Probe = (seq: number) => RecordSummary | undefined;

/**
 * Returns the position of the first record that matches; the end if none does. Bisects over positions, which may have
 * gaps. Every record after a match must match.
 */
export function firstWhere(bounds: StoredPartition, probe: Probe, matches: (record: RecordSummary) => boolean): number {
  let low = bounds.first;
  let high = bounds.next;
  while (low < high) {
    const middle = low + Math.floor((high - low) / 2);
    const record = probe(middle);
    if (record === undefined || matches(record)) high = middle;
    else low = record.seq + 1;
  }
  return low < bounds.next ? (probe(low)?.seq ?? bounds.next) : bounds.next;
}

/**
 * Returns the position of the first record that a topic retains. The last record is always retained: after a restart it
 * has the next position.
 */
export function firstRetained(spec: TopicSpec, bounds: StoredPartition, probe: Probe, nowMs: number): number {
  const last = bounds.next - 1;
  const total = bounds.next === bounds.first ? undefined : probe(last)?.sumBytes;
  if (total === undefined) return bounds.first;
  const oldestMs = nowMs - spec.retentionMs;
  const youngEnough = firstWhere(bounds, probe, ({ timeMs }) => timeMs >= oldestMs);
  const within = firstWhere(bounds, probe, ({ sumBytes, bytes }) => total - (sumBytes - bytes) <= spec.retentionBytes);
  return Math.min(Math.max(youngEnough, within), last);
}
