import type { Verdict } from '../chaos/checker.ts';
import { difference } from '../chaos/figures.ts';
import { type Attack, type AttackSize, rssGrowthMbMaxDefault } from './attack-definition.ts';
import type { DiskFigures } from './disk-sync.ts';
import type { Measurement } from './honest-clients.ts';

/** What was measured around and under one attack. */
export interface AttackFigures {
  readonly attack: Attack;
  readonly target: string;
  readonly quiet: Measurement;
  readonly under: Measurement;
  readonly after: Measurement;
  /** The same bytes on as many connections, sent to a server that does nothing with them. Undefined in small. */
  readonly control: Measurement | undefined;
  readonly verdict: Verdict;
  readonly findings: readonly string[];
  /** What the attacker counted, its refusals among it. */
  readonly counts: ReadonlyMap<string, number>;
  readonly fault: string | undefined;
  /** Sent by the attacker. */
  readonly bytes: number;
  readonly connections: number;
  /** How late timers of the target were at most (its p99), ms. */
  readonly lagMs: number;
  /**
   * Of the time of the attack: how long a main thread of the target or of the honest clients waited for a processor.
   */
  readonly waitShare: number;
  /** Under the attack and after it. */
  readonly disk: DiskFigures;
  readonly rssQuietMb: number;
  readonly rssPeakMb: number;
  /** Metrics of the attack that did not grow. */
  readonly notGrown: readonly string[];
  /** Undefined where the target was not started again. */
  readonly restart: RestartFigures | undefined;
}

export interface RestartFigures {
  readonly startMs: number;
  readonly firstStartMs: number;
  readonly withoutLastValues: readonly string[];
  readonly after: Measurement;
}

/** What was not as it has to be. */
export interface Fault {
  readonly words: string;
  /** Whether it is one of time alone, which a machine without time may have caused. */
  readonly isTiming: boolean;
}

/**
 * Below this, a p99 is the machine's noise: with both cores busy, the scheduler of the kernel and the collection of
 * garbage alone delay single reports by some tens of ms. In small, other tests run at the same time.
 */
export const p99FloorMs: Readonly<Record<AttackSize, number>> = { full: 50, small: 1_000 };
export const p99FactorMax = 2;
/**
 * A run in which the target or the honest clients waited longer for a processor says nothing of times that are too
 * long.
 */
const waitShareMax = 0.1;
/**
 * Nor one in which a write of 4 KB took longer than this until it was on the disk, although the target wrote little: an
 * honest report of standalone is acknowledged when it is on the disk.
 */
const slowestSyncMsMax = 25;
const writtenMbPerSMax = 10;
/** Within it 200,000 devices are read back. */
const startMsFloor = 10_000;
const visitFloorMs: Readonly<Record<AttackSize, number>> = { full: 500, small: 3_000 };

/** The p99 that honest clients may have under the attack, ms. */
export function allowedP99Ms({ quiet, control }: AttackFigures, size: AttackSize): number {
  return Math.max(p99FloorMs[size], p99FactorMax * quiet.p99, p99FactorMax * (control?.p99 ?? 0));
}

/**
 * Why nothing can be said, where times were too long, nothing else was wrong, and the machine had no processor or disk.
 */
export function disturbanceOf(figures: AttackFigures, size: AttackSize): string | undefined {
  const faults = faultsOf(figures, size);
  if (faults.length === 0 || !faults.every(({ isTiming }) => isTiming)) return undefined;
  const { waitShare, disk, target } = figures;
  if (waitShare > waitShareMax) return `over ${waitShareMax * 100} % of the time was spent waiting for a processor`;
  const isDiskSlow = disk.slowestSyncMs > slowestSyncMsMax && disk.writtenMbPerS < writtenMbPerSMax;
  return target === 'standalone' && isDiskSlow ? `a write of 4 KB took ${disk.slowestSyncMs} ms` : undefined;
}

/** Empty where all was as it has to be. */
export function faultsOf(figures: AttackFigures, size: AttackSize): Fault[] {
  return [
    ...timingFaults(figures, size).map((words) => ({ words, isTiming: true })),
    ...otherFaults(figures).map((words) => ({ words, isTiming: false })),
  ];
}

function timingFaults(figures: AttackFigures, size: AttackSize): string[] {
  const { quiet, under, after, restart } = figures;
  const faults: string[] = [];
  const allowed = allowedP99Ms(figures, size);
  const visitsAllowed = Math.max(visitFloorMs[size], p99FactorMax * quiet.visits.p99);
  for (const [when, { samples, p99, visits }] of [['under attack', under] as const, ['after it', after] as const]) {
    if (samples === 0) faults.push(`honest clients ${when}: expected reports, got none`);
    if (p99 > allowed) faults.push(`honest p99 ${when}: expected at most ${allowed} ms, got ${p99}`);
    if (visits.p99 > visitsAllowed) {
      faults.push(`visits ${when}: expected a p99 of at most ${visitsAllowed} ms, got ${visits.p99}`);
    }
  }
  const startAllowedMs = Math.max(startMsFloor, p99FactorMax * (restart?.firstStartMs ?? 0));
  if (restart !== undefined && restart.startMs > startAllowedMs) {
    faults.push(`start: expected at most ${Math.round(startAllowedMs)} ms, got ${Math.round(restart.startMs)}`);
  }
  return faults;
}

function otherFaults(figures: AttackFigures): string[] {
  const { attack, under, after, verdict, counts, restart } = figures;
  const faults: string[] = [];
  if (figures.fault !== undefined) faults.push(`the attack itself failed: ${figures.fault}`);
  const { lost, named, doubled, disordered, foreign } = verdict;
  if (lost + named + doubled + disordered + foreign > 0) {
    faults.push(`honest clients: expected no loss, repeat or disorder, got ${JSON.stringify(verdict)}`);
    faults.push(...figures.findings.slice(0, 3));
  }
  faults.push(...serviceFaults('under attack', under), ...serviceFaults('after it', after));
  for (const refusal of attack.refusals) {
    if (!counts.has(refusal)) faults.push(`refusal: expected "${refusal}", got ${wordsOf(counts)}`);
  }
  for (const fact of attack.expected ?? []) {
    if (!counts.has(fact)) faults.push(`expected "${fact}", got ${wordsOf(counts)}`);
  }
  for (const fact of attack.forbidden ?? []) {
    if (counts.has(fact)) faults.push(`expected no "${fact}", got ${counts.get(fact)}`);
  }
  if (counts.has('http 500 internal') || counts.has('close 1011') || counts.has('error internal')) {
    faults.push(`expected no internal error, got ${wordsOf(counts)}`);
  }
  for (const metric of figures.notGrown) faults.push(`expected ${metric} to grow`);
  const growthMb = figures.rssPeakMb - figures.rssQuietMb;
  const growthMbMax = attack.rssGrowthMbMax ?? rssGrowthMbMaxDefault;
  if (growthMb > growthMbMax)
    faults.push(`resident memory: expected to grow by at most ${growthMbMax} MB, got ${growthMb}`);
  if (restart === undefined) return faults;
  // Until all is read back, a client is told so: it misses nothing.
  const disconnects = restart.after.disconnects.filter((why) => !why.includes(': interrupted '));
  faults.push(...serviceFaults('after the restart', { ...restart.after, disconnects }));
  const lacking = restart.withoutLastValues;
  if (lacking.length > 0) {
    faults.push(`last values after the restart: expected those of all honest devices, lacks ${some(lacking)}`);
  }
  return faults;
}

function serviceFaults(when: string, { refused, disconnects, visits, probes }: Measurement): string[] {
  const faults: string[] = [];
  if (refused.length > 0) faults.push(`ingest ${when}: expected to accept every honest report, got ${some(refused)}`);
  if (disconnects.length > 0) faults.push(`subscribers ${when}: expected to stay, got ${some(disconnects)}`);
  if (visits.failures.length > 0) faults.push(`visits ${when}: expected last values, got ${some(visits.failures)}`);
  if (probes.failures.length > 0) faults.push(`probes ${when}: expected 200, got ${some(probes.failures)}`);
  return faults;
}

export function verdictBetween(before: Measurement, now: Measurement): Verdict {
  return difference(now.verdict, before.verdict);
}

/** Counts as words: `http 401 unauthorized × 2048, close 4429 × 3`. */
export function wordsOf(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([name, count]) => `${name} × ${count}`).join(', ') || 'nothing';
}

function some(items: readonly string[]): string {
  return `${items.length}: ${items.slice(0, 3).join('; ')}`;
}
