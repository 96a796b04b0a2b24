/** Measured costs, in seconds of one core unless the name has another unit. */
export interface Costs {
  /** To take one report from the log and keep its last values. */
  readonly report: number;
  /** On top of that, to encode it and send it to the first client that watches it by itself. */
  readonly frame: number;
  /** To send what is encoded to one client more. */
  readonly delivery: number;
  readonly connectionKilobytes: number;
  readonly deviceKilobytes: number;
  /** Acknowledged a CPU second. */
  readonly ingestReadings: number;
}

/**
 * The part of a core to use. The rest is for the loss of a node, clients that reconnect, and garbage collection.
 */
export const shareOfCore = 0.6;

/** The table and the rule, in Markdown. */
export function sizingText(costs: Costs, readings: number, machine: string): string {
  const micros = (seconds: number) => `${(seconds * 1e6).toFixed(1)} µs`;
  const aSecond = (seconds: number) => `${rounded(shareOfCore / seconds)}/s`;
  const { report, frame, delivery, connectionKilobytes, deviceKilobytes, ingestReadings } = costs;
  const rows: readonly (readonly [what: string, cost: string, carries: string])[] = [
    ['`a`: a report is taken from the log, watched or not', micros(report), aSecond(report)],
    ['`b`: it is encoded and sent to its first client', micros(frame), aSecond(report + frame)],
    ['`c`: the same bytes go to one client more', micros(delivery), aSecond(delivery)],
    [
      'a connection with one subscription',
      `${connectionKilobytes.toFixed(1)} KB`,
      `10,000 in ${rounded((connectionKilobytes * 10_000) / 1024)} MB`,
    ],
    [
      'a known device of 4 tags',
      `${deviceKilobytes.toFixed(2)} KB`,
      `100,000 in ${rounded((deviceKilobytes * 100_000) / 1024)} MB`,
    ],
    [
      'ingest: a reading, in batches of 100 reports of 4',
      micros(1 / ingestReadings),
      `${rounded(ingestReadings * shareOfCore)}/s`,
    ],
  ];
  return [
    `| what | costs | a core carries, ${shareOfCore * 100} % busy |`,
    '| --- | --- | --- |',
    ...rows.map((cells) => `| ${cells.join(' | ')} |`),
    '',
    `Reports of ${readings} readings, \`flushMs\` 20, plain WebSocket. On ${machine}.`,
    '',
    'Of fanout nodes, each of which uses one core (`⌈⌉`: the next whole number):',
    '',
    '```text',
    'cores = R × a + V × b + (D − V) × c           reports/s: R in all, V times the different views of each, D times its clients',
    `N     = max(⌈cores ÷ ${shareOfCore}⌉, ⌈clients ÷ connectionsMax⌉) + 1      one more, so that one may be missing`,
    '```',
    '',
    `For example 20,000 devices at a report a second, each on one screen of 5,000 that show 4 each: ${example(costs)}.`,
  ].join('\n');
}

function example({ report, frame }: Costs): string {
  const cores = 20_000 * report + 20_000 * frame;
  const nodes = Math.max(Math.ceil(cores / shareOfCore), Math.ceil(5_000 / 15_000)) + 1;
  return `${cores.toFixed(2)} cores, so N = ${nodes}`;
}

/** Formats two significant digits. */
function rounded(value: number): string {
  return Number(value.toPrecision(2)).toLocaleString('en', { maximumFractionDigits: 0 });
}
