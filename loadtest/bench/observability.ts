import { type OtlpReceiver, startOtlpReceiver } from '@tailrace/testkit/otlp-receiver';
import { median, startChild } from './child.ts';
import { load as fanoutLoad } from './fanout-load.ts';
import type { Row } from './row.ts';

/** Each pair is an iteration without and one with, alternating, so that the noise of the machine is in both. */
const pairs = 9;
const fanoutSeconds = 4;
const ingestRequests = 12_000;
const scrapeEveryMs = 1_000;
/** Iterations of ingest before those that count: code for spans is compiled after some hundreds of them. */
const warmUps = 5;

/** The cost of an iteration: server CPU for a unit of work, microseconds. */
type Iteration = (isOn: boolean) => Promise<number>;

/**
 * The cost of tracing and metrics on the hot path: CPU of one process with and without, the median of paired
 * iterations.
 */
export async function benchObservability(): Promise<Row[]> {
  const collector = await startOtlpReceiver();
  try {
    return [...(await fanoutRows(collector)), await ingestRow(collector)];
  } finally {
    await collector.stop();
  }
}

async function fanoutRows(collector: OtlpReceiver): Promise<Row[]> {
  const [server, sinks] = [startChild('fanout-server.ts', ['ours']), startChild('fanout-sinks.ts')];
  try {
    const { port, token, internalPort } = await server.ask<{ port: number; token: string; internalPort: number }>(
      'start',
      { tracingUrl: collector.url },
    );
    await sinks.ask('open', { port, token });
    const run = async (traced: boolean, seconds = fanoutSeconds) => {
      const { cpu, flushes } = await server.ask<{ cpu: number; flushes: number }>('run', { seconds, traced });
      return (cpu * 1e6) / (flushes * fanoutLoad.sockets);
    };
    // A warm-up for the compilers, both ways.
    for (const traced of [false, true]) await run(traced, 2);
    const url = `http://127.0.0.1:${internalPort}/metrics`;
    const what = `fan-out to ${fanoutLoad.sockets} sockets`;
    const unit = 'a frame and socket';
    return [
      rowOf({ what: `tracing at 1 %: ${what}`, unit, shareMax: 0.03 }, await measured(run)),
      rowOf(
        { what: `metrics, scraped every second: ${what}`, unit, shareMax: 0.01 },
        await measured((isOn) => (isOn ? whileScraped(url, () => run(false)) : run(false))),
      ),
    ];
  } finally {
    await server.end();
    await sinks.end();
  }
}

/** One report a request: the most spans for the least work. */
async function ingestRow(collector: OtlpReceiver): Promise<Row> {
  const [server, sender] = [startChild('ingest-server.ts', ['ours']), startChild('ingest-sender.ts')];
  try {
    const to = await server.ask<{ port: number; token: string }>('start', { tracingUrl: collector.url });
    const run = async (traced: boolean) => {
      await server.ask('startRun', { traced });
      await sender.ask('run', { ...to, batches: ingestRequests, reports: 1 });
      return ((await server.ask<{ cpu: number }>('endRun')).cpu * 1e6) / ingestRequests;
    };
    for (let n = 0; n < warmUps; n++) await run(n > 0);
    const what = 'tracing at 1 %: ingest, one report a request, log in memory';
    return rowOf({ what, unit: 'a request', shareMax: 0.03 }, await measured(run));
  } finally {
    await server.end();
    await sender.end();
  }
}

interface Measured {
  /** Medians, microseconds. */
  readonly off: number;
  readonly on: number;
  /** Median of the pairs' ratios, less one. */
  readonly share: number;
}

async function measured(iteration: Iteration): Promise<Measured> {
  const offs: number[] = [];
  const ons: number[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    // The order alternates, so that drift is in both.
    for (const isOn of pair % 2 === 0 ? [false, true] : [true, false]) (isOn ? ons : offs).push(await iteration(isOn));
  }
  return { off: median(offs), on: median(ons), share: median(ons.map((on, pair) => on / offs[pair]!)) - 1 };
}

/** Scrapes as Prometheus does, exemplars included. */
async function whileScraped<T>(url: string, call: () => Promise<T>): Promise<T> {
  const headers = { accept: 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5' };
  const scrape = async () => void (await (await fetch(url, { headers })).text());
  void scrape();
  const timer = setInterval(() => void scrape(), scrapeEveryMs);
  try {
    return await call();
  } finally {
    clearInterval(timer);
  }
}

function rowOf(
  { what, unit, shareMax }: { what: string; unit: string; shareMax: number },
  { off, on, share }: Measured,
): Row {
  const percent = share * 100;
  return {
    what,
    ours: `${on.toFixed(2)} µs of CPU ${unit}`,
    against: `without: ${off.toFixed(2)} µs, ${pairs} pairs of iterations in one process`,
    result: `${percent < 0 ? '−' : '+'}${Math.abs(percent).toFixed(1)} %`,
    target: `≤ ${(shareMax * 100).toFixed(0)} %`,
    met: share <= shareMax,
  };
}
