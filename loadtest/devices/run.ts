/**
 * Devices with a session, which k6 cannot simulate: `make loadtest SCENARIO=devices PROTOCOL=mqtt DEVICES=1000
 * RATE=1000 DURATION=30s`. Exits with 0; with 99 if an objective is not met, as k6 does; with 1 for an error.
 */
import { shown, TailraceError } from '@tailrace/protocol/error';
import { type Child, startChild } from '../bench/child.ts';
import { DelayCounts } from './delay-counts.ts';
import { type DeviceSettings, deviceSettingsFrom } from './settings.ts';
import { summaryOf } from './summary.ts';
import type { WorkerResult } from './worker.ts';

/** Below the limit of ingest for connections of one address without a verified device, 64. */
const connectingMax = 48;
const inFlightMax = 64;
const objectiveFailed = 99;

/** Runs the load of the environment, prints its summary, and returns the exit code. */
export async function runDevices(env: NodeJS.ProcessEnv): Promise<number> {
  const settings = deviceSettingsFrom(env, Date.now());
  const workers = Array.from({ length: settings.processes }, () => startChild('../devices/worker.ts'));
  try {
    const startMs = performance.now();
    await connectAll(settings, workers);
    const connectSeconds = (performance.now() - startMs) / 1_000;
    process.stdout.write(`${settings.devices} devices are connected after ${connectSeconds.toFixed(1)} s\n`);
    const { rate, seconds, processes, graceMs } = settings;
    await Promise.all(workers.map((worker) => worker.ask('run', { perSecond: rate / processes, seconds })));
    const results = await Promise.all(workers.map((worker) => worker.ask<WorkerResult>('finish', { graceMs })));
    await Promise.all(workers.map((worker) => worker.ask('close')));
    const summary = summaryOf(settings, totalOf(results));
    process.stdout.write(`${summary.text}\n`);
    return summary.isMet ? 0 : objectiveFailed;
  } finally {
    await Promise.all(workers.map((worker) => worker.end()));
  }
}

async function connectAll(settings: DeviceSettings, workers: readonly Child[]): Promise<void> {
  const { devices, processes, protocol, ingest, token, path, readings, targets } = settings;
  const firstOf = (index: number) => Math.floor((devices * index) / processes);
  const failed = ({ error }: { error?: string }, what: string) => {
    if (error !== undefined) throw new TailraceError('unavailable', `${what}: ${error}`);
  };
  await Promise.all(
    workers.map(async (worker, index) => {
      const prefix = `${path}.p${index}`;
      const count = firstOf(index + 1) - firstOf(index);
      const common = { protocol, url: ingest, token, readings, hasIds: true, inFlightMax };
      const limit = Math.max(1, Math.floor(connectingMax / processes));
      const facts = { ...common, prefix, first: firstOf(index), count, connectingMax: limit };
      failed(await worker.ask('connect', facts), `devices cannot connect to ${shown(ingest)}`);
      if (targets.length > 0)
        failed(await worker.ask('watch', { urls: targets }), `cannot subscribe at ${targets.join(', ')}`);
    }),
  );
}

/** Adds up what the processes have counted. */
export function totalOf(results: readonly WorkerResult[]): WorkerResult {
  const [ackDelays, sentDelays, timerDelays] = [new DelayCounts(), new DelayCounts(), new DelayCounts()];
  const refused: Record<string, number> = {};
  for (const result of results) {
    ackDelays.addAll(result.ackDelays);
    sentDelays.addAll(result.sentDelays);
    timerDelays.addAll(result.timerDelays);
    for (const [code, count] of Object.entries(result.refused)) refused[code] = (refused[code] ?? 0) + count;
  }
  const sum = (name: 'sent' | 'acknowledged' | 'resent' | 'disconnects' | 'delivered' | 'missing' | 'doubled') =>
    results.reduce((total, result) => total + result[name], 0);
  return {
    ...{ sent: sum('sent'), acknowledged: sum('acknowledged'), resent: sum('resent'), disconnects: sum('disconnects') },
    ...{ delivered: sum('delivered'), missing: sum('missing'), doubled: sum('doubled'), refused },
    disordered: results.reduce((total, { disordered }) => total + disordered, 0),
    skipped: results.reduce((total, { skipped }) => total + skipped, 0),
    ackDelays: ackDelays.toJson(),
    sentDelays: sentDelays.toJson(),
    timerDelays: timerDelays.toJson(),
  };
}
