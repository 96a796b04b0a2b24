import type { Verdict } from './checker.ts';
import type { Seen } from './client.ts';
import type { Disruption } from './faults.ts';

/** One row of the table. */
export interface Figures {
  readonly fault: Disruption;
  readonly clients: number;
  /** Clients that lost their connection. */
  readonly hit: number;
  /** Times that a client went to another node without losing its connection. */
  readonly moves: number;
  /** Received by all clients together. */
  readonly reports: number;
  /** Longest pause of each client beyond its device's own interval. */
  readonly pause: Percentiles;
  /**
   * Of the clients that were hit: from the fault until they were live again, and received a report appended after it.
   * Undefined: none was hit.
   */
  readonly shownAgain: Percentiles | undefined;
  readonly liveAgain: Percentiles | undefined;
  /** In this fault alone. */
  readonly verdict: Verdict;
}

export interface Percentiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** A figure above its target by more than this factor fails the run; below, it may be noise of the machine. */
export const noiseFactor = 2;

/** Nearest rank; of no values, zeros. */
export function percentilesOf(values: readonly number[]): Percentiles {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => Math.round(sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0);
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}

export function figuresFrom(fault: Disruption, seen: readonly Seen[], intervalMs: number, verdict: Verdict): Figures {
  const hit = seen.filter((each) => each.hit);
  const of = (pick: (each: Seen) => number | undefined) =>
    hit.length === 0 ? undefined : percentilesOf(hit.map((each) => pick(each) ?? Number.POSITIVE_INFINITY));
  return {
    fault,
    clients: seen.length,
    hit: hit.length,
    moves: seen.reduce((sum, { moves }) => sum + moves, 0),
    reports: seen.reduce((sum, { reports }) => sum + reports, 0),
    pause: percentilesOf(seen.map(({ longestMs }) => Math.max(0, longestMs - intervalMs))),
    shownAgain: of(({ shownAfterMs }) => shownAfterMs),
    liveAgain: of(({ liveAfterMs }) => liveAfterMs),
    verdict,
  };
}

/** Compares a row with its target. */
export function judgement({ fault: { target }, pause, shownAgain }: Figures): { words: string; fails: boolean } {
  if (target === undefined) return { words: '–', fails: false };
  const got = target.what === 'pause p99' ? pause.p99 : (shownAgain?.p95 ?? 0);
  const words = `${target.what} ${got} of ${target.ms} ms`;
  if (got <= target.ms) return { words: `${words}: met`, fails: false };
  if (got <= target.ms * noiseFactor) return { words: `${words}: NOT MET`, fails: false };
  return { words: `${words}: FAILED`, fails: true };
}

export function isFaulty({ lost, doubled, disordered, invalid }: Verdict): boolean {
  return lost !== 0 || doubled !== 0 || disordered !== 0 || invalid !== 0;
}

export function difference(now: Verdict, before: Verdict): Verdict {
  return {
    lost: now.lost - before.lost,
    named: now.named - before.named,
    doubled: now.doubled - before.doubled,
    disordered: now.disordered - before.disordered,
    invalid: now.invalid - before.invalid,
  };
}

const columns = [
  'fault',
  'clients hit',
  'moved',
  'reports',
  'longest pause p50 / p95 / p99 / max ms',
  'shown again p50 / p95 / max ms',
  'lost',
  'doubled',
  'disordered',
  'invalid',
  'named',
  'target',
];

/** As a Markdown table. */
export function tableOf(rows: readonly Figures[]): string {
  const cells = rows.map((row) => {
    const { fault, clients, hit, moves, reports, pause, shownAgain: again, verdict } = row;
    return [
      fault.name,
      `${hit} of ${clients}`,
      String(moves),
      String(reports),
      `${pause.p50} / ${pause.p95} / ${pause.p99} / ${pause.max}`,
      again === undefined ? '–' : `${again.p50} / ${again.p95} / ${again.max}`,
      ...[verdict.lost, verdict.doubled, verdict.disordered, verdict.invalid, verdict.named].map(String),
      judgement(row).words,
    ];
  });
  const lines = [columns, columns.map((name) => '-'.repeat(name.length)), ...cells];
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)));
  return lines.map((line) => `| ${line.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`).join('\n');
}
