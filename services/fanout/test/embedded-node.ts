/** A fanout node on an embedded log, to run as a child process: `fork(…, [folder, settings])`. */
import { createMemoryNetwork } from '@tailrace/bus/memory';
import { createEmbeddedLog } from '@tailrace/eventlog/embedded';
import { systemClock as clock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { noTracing } from '@tailrace/platform/tracing';
import { encodeReport } from '@tailrace/protocol/report-proto';
import { eventually } from '@tailrace/testkit/eventually';
import { createFanout } from '../src/app.ts';
import type { FanoutSettings } from '../src/config.ts';
import { createUwsTransport } from '../src/uws-transport.ts';
import { testConfig } from './node.ts';

/** A request to the process. */
export type Ask = { readonly append: string } | { readonly metrics: readonly string[] } | { readonly stop: true };
/** Its answers, in order; the first one, without a request, is the port once it serves. */
export type Answer =
  | { readonly port: number }
  | { readonly done: true }
  | { readonly metrics: Readonly<Record<string, number>> };

const [path = '', settings = '{}'] = process.argv.slice(2);
const eventLog = createEmbeddedLog({ path, clock, logger: silentLogger });
const bus = createMemoryNetwork({ clock }).createBus({ node: 'test', logger: silentLogger });
await Promise.all([eventLog.start(), bus.start()]);
const metrics = createMetrics({ service: 'fanout', node: 'test', processMetrics: false });
const config = testConfig(JSON.parse(settings) as Partial<FanoutSettings>);
const fanout = createFanout({
  ...{ eventLog, bus, clock, logger: silentLogger, metrics, tracing: noTracing, config },
  transport: createUwsTransport(config, silentLogger),
  ...{ random: Math.random, version: '0.0.0-test' },
});
await fanout.start();
await eventually(() => fanout.notReady() === undefined, { describe: 'the node serves', deadlineMs: 60_000 });

const answer = (message: Answer) => process.send!(message);

async function metricsNamed(names: readonly string[]): Promise<Record<string, number>> {
  const lines = (await metrics.text()).split('\n');
  const read = (name: string) =>
    Number(
      lines
        .find((line) => line.startsWith(`${name}{`))
        ?.split(' ')
        .at(-1),
    );
  return Object.fromEntries(names.map((name) => [name, read(name)]));
}

process.on('message', async (ask: Ask) => {
  if ('metrics' in ask) answer({ metrics: await metricsNamed(ask.metrics) });
  else if ('append' in ask) {
    const nowMs = clock.now();
    const report = { device: ask.append, time: nowMs, readings: [{ tag: 'n', value: 7 }] };
    await eventLog.append(`${config.topicPrefix}.telemetry`, [
      { key: report.device, value: encodeReport(report, nowMs) },
    ]);
    answer({ done: true });
  } else {
    await fanout.drain();
    await fanout.stop();
    await bus.close();
    await eventLog.close();
    process.disconnect();
  }
});
// The test has exited.
process.on('disconnect', () => process.exit(0));
answer({ port: fanout.port });
