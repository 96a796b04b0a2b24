/** The part of handleSummary's argument that is shown. */
export interface SummaryData {
  readonly state: { readonly testRunDurationMs: number };
  readonly metrics: Readonly<
    Record<
      string,
      {
        readonly type: string;
        readonly contains: string;
        readonly values: Readonly<Record<string, number>>;
        readonly thresholds?: Readonly<Record<string, { readonly ok: boolean }>>;
      }
    >
  >;
}

export interface SloRow {
  readonly metric: string;
  readonly expected: string;
  readonly got: string;
  readonly isMet: boolean;
}

export interface Summary {
  readonly scenario: string;
  readonly what: string;
  readonly isMet: boolean;
  readonly seconds: number;
  readonly settings: Readonly<Record<string, string | number>>;
  readonly figures: readonly (readonly [name: string, value: string])[];
  readonly slo: readonly SloRow[];
}

/** The most important figures, in this order. The JSON file has all metrics. */
const figureNames: readonly (readonly [metric: string, stat: string, label: string])[] = [
  ['tailrace_reports', 'count', 'reports delivered to clients'],
  ['tailrace_frames', 'count', 'in frames'],
  ['tailrace_published', 'count', 'reports sent'],
  ['tailrace_latency', 'med', 'device to client, p50'],
  ['tailrace_latency', 'p(99)', 'device to client, p99'],
  ['tailrace_pause', 'max', 'device to client, longest (pause)'],
  ['tailrace_connect', 'p(99)', 'connect to subscribed, p99'],
  ['tailrace_losses', 'count', 'connections lost'],
  ['tailrace_moves', 'count', 'moves to another node'],
  ['tailrace_reconnect', 'p(99)', 'lost to subscribed again, p99'],
  ['tailrace_reconnect', 'max', 'lost to subscribed again, longest'],
  ['tailrace_repeats', 'count', 'repeats dropped by position'],
  ['tailrace_slow_reports', 'count', 'reports delivered to slow clients'],
  ['tailrace_slow_named', 'count', 'skipped for slow clients, with notice'],
  ['tailrace_commands', 'count', 'commands accepted'],
  ['tailrace_command_done', 'med', 'request to done at a watcher, p50'],
  ['tailrace_command_done', 'p(99)', 'request to done at a watcher, p99'],
  ['tailrace_level', 'value', 'reports a second to deliver at the end'],
  ['tailrace_publish_lag', 'p(95)', 'sender lag, p95'],
  ['tailrace_own_lag', 'p(99)', "k6's own lag, p99"],
  ['tailrace_clock_offset', 'value', "servers' clock less k6's"],
];

/** Above this, k6 cannot keep up, and measures mostly itself. */
const ownLagMsMax = 100;

export function summaryOf(
  data: SummaryData,
  about: { readonly scenario: string; readonly what: string; readonly settings: Summary['settings'] },
): Summary {
  const slo: SloRow[] = [];
  for (const [metric, { values, thresholds, contains }] of Object.entries(data.metrics)) {
    for (const [expected, { ok }] of Object.entries(thresholds ?? {})) {
      const stat = /^[a-z]+(\([\d.]+\))?/.exec(expected)?.[0] ?? '';
      slo.push({ metric, expected, got: shownValue(values[stat], stat, contains), isMet: ok });
    }
  }
  slo.sort((a, b) => a.metric.localeCompare(b.metric));
  const figures = figureNames.flatMap(([metric, stat, label]) => {
    const found = data.metrics[metric];
    return found === undefined ? [] : [[label, shownValue(found.values[stat], stat, found.contains)] as const];
  });
  return {
    ...about,
    isMet: slo.every(({ isMet }) => isMet),
    seconds: Math.round(data.state.testRunDurationMs / 100) / 10,
    figures,
    slo,
  };
}

export function isGeneratorLate(data: SummaryData): boolean {
  return (data.metrics['tailrace_own_lag']?.values['p(99)'] ?? 0) > ownLagMsMax;
}

function shownValue(value: number | undefined, stat: string, contains: string): string {
  if (value === undefined) return 'no samples';
  if (contains === 'time') return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
  if (stat === 'count' || value >= 1000 || Number.isInteger(value)) return grouped(Math.round(value));
  return value.toPrecision(4);
}

/** 1234567 as 1,234,567: k6 has no toLocaleString for numbers. */
function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** Returns the summary as text, for a terminal and CI's log. */
export function textOf(summary: Summary, isLate: boolean): string {
  const width = Math.max(...summary.figures.map(([label]) => label.length), 1);
  const sloWidths = (['metric', 'expected', 'got'] as const).map((key) =>
    Math.max(key.length, ...summary.slo.map((row) => row[key].length)),
  );
  const row = (cells: readonly string[], end: string) =>
    `  ${cells.map((cell, i) => cell.padEnd(sloWidths[i]!)).join('  ')}  ${end}`;
  return [
    '',
    `Tailrace load test "${summary.scenario}": ${summary.what}`,
    `  ${Object.entries(summary.settings)
      .map(([name, value]) => `${name}=${value}`)
      .join(' ')}; ${summary.seconds} s`,
    '',
    ...summary.figures.map(([label, value]) => `  ${label.padEnd(width)}  ${value}`),
    '',
    row(['metric', 'expected', 'got'], ''),
    ...summary.slo.map(({ metric, expected, got, isMet }) => row([metric, expected, got], isMet ? 'met' : 'NOT MET')),
    '',
    ...(isLate
      ? [
          '  k6 itself could not keep up: latencies are mostly its own, not those of Tailrace. Add processors, or send fewer reports.',
          '',
        ]
      : []),
    summary.isMet ? '  All objectives are met.' : '  NOT ALL OBJECTIVES ARE MET.',
    '',
    '',
  ].join('\n');
}
