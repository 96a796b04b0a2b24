/**
 * `make chaos CLIENTS=3000 DEVICES=1000`: a stack of real Kafka, NATS, ingest and fanout nodes, SDK clients with the
 * URLs of all nodes, and one fault after the other under load. A checker that knows only what devices sent and clients
 * received counts loss, repeats and disorder. Prints a table. Exits with 1 on any of them, or if a pause was far above
 * its target.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { integerArgument } from '../../scripts/integer-argument.ts';
import { freePortBase } from '../ports.ts';
import { ChaosRun, type ChaosSettings } from './chaos-run.ts';
import { faultsByName } from './faults.ts';
import { runCommand } from './run-command.ts';

const root = resolve(import.meta.dirname, '../..');

const settings = settingsFrom(process.argv.slice(2));
const run = new ChaosRun({ ...settings, portBase: await freePortBase(settings.nodes) }, (text) =>
  process.stdout.write(`${text}\n`),
);

await runCommand(run, settings.limitSeconds);

function settingsFrom(args: readonly string[]): Omit<ChaosSettings, 'portBase'> & { limitSeconds: number } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      nodes: { type: 'string', default: '3' },
      clients: { type: 'string', default: '3000' },
      devices: { type: 'string', default: '1000' },
      faults: { type: 'string', default: Object.keys(faultsByName).join(',') },
      seconds: { type: 'string', default: '5' },
      'interval-ms': { type: 'string', default: '1000' },
      // The default of a fanout node.
      'drain-ms': { type: 'string', default: '5000' },
      'limit-seconds': { type: 'string', default: '600' },
      data: { type: 'string', default: 'data/chaos' },
    },
  });
  const names = values.faults.split(',');
  const unknown = names.find((name) => !Object.hasOwn(faultsByName, name));
  if (unknown !== undefined) {
    process.stderr.write(`FAULTS: expected some of ${Object.keys(faultsByName).join(', ')}, got ${unknown}\n`);
    process.exit(1);
  }
  return {
    nodes: integerArgument('NODES', values.nodes, 2, 16),
    clients: integerArgument('CLIENTS', values.clients, 1, 30_000),
    devices: integerArgument('DEVICES', values.devices, 1, 100_000),
    faults: names.flatMap((name) => faultsByName[name]!),
    calmMs: integerArgument('SECONDS', values.seconds, 0, 600) * 1000,
    intervalMs: integerArgument('INTERVAL_MS', values['interval-ms'], 50, 60_000),
    drainMs: integerArgument('DRAIN_MS', values['drain-ms'], 0, 60_000),
    limitSeconds: integerArgument('LIMIT_SECONDS', values['limit-seconds'], 30, 7200),
    data: resolve(root, values.data),
  };
}
