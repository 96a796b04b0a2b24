import type { Verdict } from '../chaos/checker.ts';
import { difference } from '../chaos/figures.ts';
import { type Attack, type AttackSize, rssGrowthMbMaxDefault } from './attack-definition.ts';
import type { DiskFigures } from './disk-sync.ts';
import type { Measurement } from './honest-clients.ts';

/** Measurements before, during and after one attack. */
export interface AttackFigures {
  readonly attack: Attack;
  readonly target: string;
  readonly quiet: Measurement;
  readonly under: Measurement;
  readonly after: Measurement;
  /** During the same traffic to a server that ignores it. Undefined in small. */
  readonly control: Measurement | undefined;
  readonly verdict: Verdict;
  readonly findings: readonly string[];
  /** Counts of the attacker, including its refusals. */
  readonly counts: ReadonlyMap<string, number>;
  readonly error: string | undefined;
  /** Sent by the attacker. */
  readonly bytes: number;
  readonly connections: number;
  /** Event loop lag of the target, p99, ms. */
  readonly lagMs: number;
  /**
   * Share of the time that a main thread of the target or of the honest clients waited for a processor.
   */
  readonly waitShare: number;
  /** During the attack and after it. */
  readonly disk: DiskFigures;
  readonly rssQuietMb: number;
  readonly rssPeakMb: number;
  /** Metrics of the attack that did not grow. */
  readonly notGrown: readonly string[];
  /** Undefined where the target was not restarted. */
  readonly restart: RestartFigures | undefined;
}

export interface RestartFigures {
  readonly startMs: number;
  readonly firstStartMs: number;
  readonly withoutLastValues: readonly string[];
  readonly after: Measurement;
}

/** A violated expectation. */
export interface Failure {
  readonly words: string;
  /** Whether it is only about time: an overloaded machine may have caused it. */
  readonly isTiming: boolean;
}

/**
 * Below this, a p99 is noise: with both cores busy, the kernel's scheduler and garbage collection alone delay single
 * reports by tens of ms. In small, other tests run at the same time.
 */
export const p99FloorMs: Readonly<Record<AttackSize, number>> = { full: 50, small: 1_000 };
export const p99FactorMax = 2;
/**
 * If the target or the honest clients waited longer for a processor, times that are too long prove nothing.
 */
const waitShareMax = 0.1;
/**
 * The same if a write of 4 KB took longer than this until it was on the disk, although the target wrote little: an
 * honest report to standalone is acknowledged when it is on the disk.
 */
const slowestSyncMsMax = 25;
const writtenMbPerSMax = 10;
/** In this time 200,000 devices are recovered. */
const startMsFloor = 10_000;
const visitFloorMs: Readonly<Record<AttackSize, number>> = { full: 500, small: 3_000 };

/** Returns the p99 that honest clients may have under the attack, ms. */
export function allowedP99Ms({ quiet, control }: AttackFigures, size: AttackSize): number {
  return Math.max(p99FloorMs[size], p99FactorMax * quiet.p99, p99FactorMax * (control?.p99 ?? 0));
}

/**
 * Returns why a run proves nothing: only times were too long, and the processor or the disk of the machine was
 * overloaded. Undefined if the run is valid.
 */
export function disturbanceOf(figures: AttackFigures, size: AttackSize): string | undefined {
  const failures = failuresOf(figures, size);
  if (failures.length === 0 || !failures.every(({ isTiming }) => isTiming)) return undefined;
  const { waitShare, disk, target } = figures;
  if (waitShare > waitShareMax)
    return `threads waited for a processor for more than ${waitShareMax * 100} % of the time`;
  const isDiskSlow = disk.slowestSyncMs > slowestSyncMsMax && disk.writtenMbPerS < writtenMbPerSMax;
  return target === 'standalone' && isDiskSlow ? `a write of 4 KB took ${disk.slowestSyncMs} ms` : undefined;
}

/** Returns all violated expectations. */
export function failuresOf(figures: AttackFigures, size: AttackSize): Failure[] {
  return [
    ...timingFailures(figures, size).map((words) => ({ words, isTiming: true })),
    ...otherFailures(figures).map((words) => ({ words, isTiming: false })),
  ];
}

function timingFailures(figures: AttackFigures, size: AttackSize): string[] {
  const { quiet, under, after, restart } = figures;
  const failures: string[] = [];
  const allowed = allowedP99Ms(figures, size);
  const visitsAllowed = Math.max(visitFloorMs[size], p99FactorMax * quiet.visits.p99);
  for (const [when, { samples, p99, visits }] of [['under attack', under] as const, ['after it', after] as const]) {
    if (samples === 0) failures.push(`honest clients ${when}: expected reports, got none`);
    if (p99 > allowed) failures.push(`honest p99 ${when}: expected at most ${allowed} ms, got ${p99}`);
    if (visits.p99 > visitsAllowed) {
      failures.push(`visits ${when}: expected a p99 of at most ${visitsAllowed} ms, got ${visits.p99}`);
    }
  }
  const startAllowedMs = Math.max(startMsFloor, p99FactorMax * (restart?.firstStartMs ?? 0));
  if (restart !== undefined && restart.startMs > startAllowedMs) {
    failures.push(`start: expected at most ${Math.round(startAllowedMs)} ms, got ${Math.round(restart.startMs)}`);
  }
  return failures;
}

function otherFailures(figures: AttackFigures): string[] {
  const { attack, under, after, verdict, counts, restart } = figures;
  const failures: string[] = [];
  if (figures.error !== undefined) failures.push(`the attack itself failed: ${figures.error}`);
  const { lost, named, doubled, disordered, invalid } = verdict;
  if (lost + named + doubled + disordered + invalid > 0) {
    failures.push(`honest clients: expected no loss, repeat or disorder, got ${JSON.stringify(verdict)}`);
    failures.push(...figures.findings.slice(0, 3));
  }
  failures.push(...serviceFailures('under attack', under), ...serviceFailures('after it', after));
  for (const refusal of attack.refusals) {
    if (!counts.has(refusal)) failures.push(`refusal: expected "${refusal}", got ${wordsOf(counts)}`);
  }
  for (const fact of attack.expected ?? []) {
    if (!counts.has(fact)) failures.push(`expected "${fact}", got ${wordsOf(counts)}`);
  }
  for (const fact of attack.forbidden ?? []) {
    if (counts.has(fact)) failures.push(`expected no "${fact}", got ${counts.get(fact)}`);
  }
  if (counts.has('http 500 internal') || counts.has('close 1011') || counts.has('error internal')) {
    failures.push(`expected no internal error, got ${wordsOf(counts)}`);
  }
  for (const metric of figures.notGrown) failures.push(`expected ${metric} to grow`);
  const growthMb = figures.rssPeakMb - figures.rssQuietMb;
  const growthMbMax = attack.rssGrowthMbMax ?? rssGrowthMbMaxDefault;
  if (growthMb > growthMbMax)
    failures.push(`resident memory: expected to grow by at most ${growthMbMax} MB, got ${growthMb}`);
  if (restart === undefined) return failures;
  // Until all partitions are recovered, clients are sent `interrupted`, and lose nothing. Devices with a session are
  // offline if the start takes longer than their grace time.
  const disconnects = restart.after.disconnects.filter((why) => !/: (interrupted|offline) /.test(why));
  failures.push(...serviceFailures('after the restart', { ...restart.after, disconnects }));
  const lacking = restart.withoutLastValues;
  if (lacking.length > 0) {
    failures.push(`last values after the restart: expected those of all honest devices, lacks ${some(lacking)}`);
  }
  return failures;
}

function serviceFailures(when: string, { refused, disconnects, visits, probes }: Measurement): string[] {
  const failures: string[] = [];
  if (refused.length > 0) failures.push(`ingest ${when}: expected to accept every honest report, got ${some(refused)}`);
  if (disconnects.length > 0) failures.push(`subscribers ${when}: expected to stay, got ${some(disconnects)}`);
  if (visits.failures.length > 0) failures.push(`visits ${when}: expected last values, got ${some(visits.failures)}`);
  if (probes.failures.length > 0) failures.push(`probes ${when}: expected 200, got ${some(probes.failures)}`);
  return failures;
}

export function verdictBetween(before: Measurement, now: Measurement): Verdict {
  return difference(now.verdict, before.verdict);
}

/** Returns counts as text: `http 401 unauthorized × 2048, close 4429 × 3`. */
export function wordsOf(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([name, count]) => `${name} × ${count}`).join(', ') || 'nothing';
}

function some(items: readonly string[]): string {
  return `${items.length}: ${items.slice(0, 3).join('; ')}`;
}
