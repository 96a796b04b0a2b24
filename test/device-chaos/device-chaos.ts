/**
 * `make device-chaos`: real Kafka, NATS, Mosquitto, ingest and a gateway, senders of each protocol, and one part after
 * the other is killed under load. A checker that knows only what was sent and acknowledged counts what the log has, for
 * each protocol. Exits with 1 if an acknowledged message is missing, or another count is out of its bounds.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { integerArgument } from '../../scripts/integer-argument.ts';
import { runCommand } from '../chaos/run-command.ts';
import { freePortBase } from '../ports.ts';
import { DeviceChaosRun, type DeviceChaosSettings } from './device-chaos-run.ts';
import { deviceFaults } from './device-faults.ts';

const root = resolve(import.meta.dirname, '../..');

const settings = settingsFrom(process.argv.slice(2));
const run = new DeviceChaosRun({ ...settings, portBase: await freePortBase(0) }, (text) =>
  process.stdout.write(`${text}\n`),
);

await runCommand(run, settings.limitSeconds);

function settingsFrom(args: readonly string[]): Omit<DeviceChaosSettings, 'portBase'> & { limitSeconds: number } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      faults: { type: 'string', default: deviceFaults.map(({ name }) => name).join() },
      ingest: { type: 'string', default: '2' },
      rate: { type: 'string', default: '100' },
      seconds: { type: 'string', default: '3' },
      'outage-seconds': { type: 'string', default: '600' },
      'limit-seconds': { type: 'string', default: '1500' },
      data: { type: 'string', default: 'data/device-chaos' },
    },
  });
  const names = values.faults.split(',');
  const unknown = names.find((name) => !deviceFaults.some((each) => each.name === name));
  if (unknown !== undefined) {
    const known = deviceFaults.map(({ name }) => name).join(', ');
    process.stderr.write(`FAULTS: expected some of ${known}, got ${unknown}\n`);
    process.exit(1);
  }
  return {
    faults: names.map((name) => deviceFaults.find((each) => each.name === name)!),
    ingestNodes: integerArgument('INGEST', values.ingest, 1, 2) as 1 | 2,
    perSecond: integerArgument('RATE', values.rate, 1, 10_000),
    calmMs: integerArgument('SECONDS', values.seconds, 0, 600) * 1000,
    outageMs: integerArgument('OUTAGE_SECONDS', values['outage-seconds'], 1, 86_400) * 1000,
    limitSeconds: integerArgument('LIMIT_SECONDS', values['limit-seconds'], 30, 100_000),
    data: resolve(root, values.data),
  };
}
