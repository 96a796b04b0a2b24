import type { Report } from '@tailrace/protocol/report';
import type { Ledger } from './ledger.ts';

/** The counts of one protocol. */
export interface Counts {
  readonly protocol: string;
  readonly sent: number;
  readonly acknowledged: number;
  /** Messages in the log, each counted once. */
  readonly distinct: number;
  /** Times that they are in the log. */
  readonly records: number;
  /** `records` beyond `distinct`: fanout delivers none of them. */
  readonly duplicates: number;
  /** Acknowledged, and not in the log. */
  readonly missing: readonly string[];
  /** Sent, not acknowledged, and not in the log. */
  readonly unsent: readonly string[];
  /** In the log, and never sent. */
  readonly foreign: readonly string[];
}

/** Bounds of what faults may cause. The number of missing and of foreign messages is always 0. */
export interface Bounds {
  /** Most messages that are in the log again. */
  readonly duplicatesMax: number;
  /** Most messages that were not acknowledged, and got lost before they reached Tailrace. */
  readonly unsentMax: number;
}

/** Counts the messages of the ledgers in the reports of the log. */
export function countsOf(ledgers: readonly Ledger[], reports: readonly Report[]): Counts[] {
  return ledgers.map((ledger) => {
    const times = new Map<string, number>();
    for (const report of reports) for (const key of ledger.keysIn(report)) times.set(key, (times.get(key) ?? 0) + 1);
    const records = [...times.values()].reduce((sum, each) => sum + each, 0);
    const absent = [...ledger.sent].filter((key) => !times.has(key));
    return {
      protocol: ledger.protocol,
      sent: ledger.sent.size,
      acknowledged: ledger.acknowledged.size,
      distinct: times.size,
      records,
      duplicates: records - times.size,
      missing: [...ledger.acknowledged].filter((key) => !times.has(key)),
      unsent: absent.filter((key) => !ledger.acknowledged.has(key)),
      foreign: [...times.keys()].filter((key) => !ledger.sent.has(key)),
    };
  });
}

const examplesMax = 5;

/** Returns a sentence for each count that is out of its bounds. */
export function faultsOf(counts: Counts, { duplicatesMax, unsentMax }: Bounds): string[] {
  const { protocol, missing, unsent, foreign, duplicates, sent } = counts;
  const found: string[] = [];
  const expect = (what: string, got: readonly string[], max: number) => {
    if (got.length <= max) return;
    found.push(
      `${protocol}: expected at most ${max} ${what}, got ${got.length}: ${got.slice(0, examplesMax).join()} …`,
    );
  };
  if (sent === 0) found.push(`${protocol}: expected messages, got none`);
  expect('acknowledged messages that are not in the log', missing, 0);
  expect('messages in the log that were not sent', foreign, 0);
  expect('messages that did not reach the log', unsent, unsentMax);
  if (duplicates > duplicatesMax) {
    found.push(`${protocol}: expected at most ${duplicatesMax} duplicates in the log, got ${duplicates}`);
  }
  return found;
}

const columns = [
  'protocol',
  'sent',
  'acknowledged',
  'distinct in the log',
  'records',
  'duplicates',
  'missing',
  'lost before',
];

/** As a Markdown table. `lost before`: sent, not acknowledged, and not in the log. */
export function tableOf(all: readonly Counts[]): string {
  const cells = all.map(({ protocol, sent, acknowledged, distinct, records, duplicates, missing, unsent }) => [
    protocol,
    ...[sent, acknowledged, distinct, records, duplicates, missing.length, unsent.length].map(String),
  ]);
  const lines = [columns, columns.map((name) => '-'.repeat(name.length)), ...cells];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => line[index]!.length)));
  return lines.map((line) => `| ${line.map((cell, index) => cell.padEnd(widths[index]!)).join(' | ')} |`).join('\n');
}
