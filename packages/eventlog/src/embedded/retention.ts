import type { TopicSpec } from '../event-log.ts';
import type { PartitionEnds } from '../local/store.ts';

export interface RecordFacts {
  readonly seq: number;
  readonly timeMs: number;
  /** Of the record itself. */
  readonly bytes: number;
  /** Of all records of the partition up to and including this one. */
  readonly sumBytes: number;
}

/** The facts of the first record at `seq` or later. */
export type Probe = (seq: number) => RecordFacts | undefined;

/**
 * The first record for which `is` holds, the end where there is none, by bisection over positions (holes allowed). `is`
 * must not hold for a record and fail for a later one.
 */
export function firstWhere(ends: PartitionEnds, probe: Probe, is: (facts: RecordFacts) => boolean): number {
  let low = ends.first;
  let high = ends.next;
  while (low < high) {
    const middle = low + Math.floor((high - low) / 2);
    const facts = probe(middle);
    if (facts === undefined || is(facts)) high = middle;
    else low = facts.seq + 1;
  }
  return low < ends.next ? (probe(low)?.seq ?? ends.next) : ends.next;
}

/**
 * The first record that a topic still has to keep. The last record always stays: by it the next position is known after
 * a restart.
 */
export function firstKept(spec: TopicSpec, ends: PartitionEnds, probe: Probe, nowMs: number): number {
  const last = ends.next - 1;
  const total = ends.next === ends.first ? undefined : probe(last)?.sumBytes;
  if (total === undefined) return ends.first;
  const oldestMs = nowMs - spec.retentionMs;
  const youngEnough = firstWhere(ends, probe, (facts) => facts.timeMs >= oldestMs);
  const within = firstWhere(ends, probe, (facts) => total - (facts.sumBytes - facts.bytes) <= spec.retentionBytes);
  return Math.min(Math.max(youngEnough, within), last);
}
