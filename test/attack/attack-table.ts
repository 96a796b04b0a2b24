import type { AttackSize } from './attack-definition.ts';
import { type AttackFigures, allowedP99Ms } from './judgement.ts';

const columns = [
  'attack',
  'target',
  'sent',
  'quiet p99 ms',
  'under attack p99 ms',
  'allowed ms',
  'control p99 ms',
  'loop lag ms',
  'waited for CPU',
  'lost',
  'refusal',
  'RSS MB',
  'restart ms',
];

/** Returns a Markdown table with a row for each attack. */
export function tableOf(rows: readonly AttackFigures[], size: AttackSize): string {
  const cells = rows.map((row) => [
    row.attack.name,
    row.target,
    `${sizeOf(row.bytes)} on ${row.connections}`,
    String(row.quiet.p99),
    String(row.under.p99),
    String(Math.round(allowedP99Ms(row, size))),
    String(row.control?.p99 ?? '–'),
    String(Math.round(row.lagMs)),
    `${Math.round(row.waitShare * 100)} %`,
    String(row.verdict.lost + row.verdict.named + row.verdict.doubled + row.verdict.disordered),
    refusalsOf(row),
    `${row.rssQuietMb} → ${row.rssPeakMb}`,
    row.restart === undefined ? '–' : String(Math.round(row.restart.startMs)),
  ]);
  const lines = [columns, columns.map((name) => '-'.repeat(name.length)), ...cells];
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)));
  return lines.map((line) => `| ${line.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`).join('\n');
}

function refusalsOf({ attack, counts }: AttackFigures): string {
  const words = attack.refusals.map((name) => `${name} × ${counts.get(name) ?? 0}`);
  return words.join(', ') || '–';
}

function sizeOf(bytes: number): string {
  if (bytes < 10_000) return `${bytes} B`;
  return bytes < 10_000_000 ? `${Math.round(bytes / 1_000)} KB` : `${Math.round(bytes / 1_000_000)} MB`;
}
