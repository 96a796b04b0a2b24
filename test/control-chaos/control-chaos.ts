/**
 * `make control-chaos`: real Kafka, NATS and PostgreSQL, two processes of each service, devices, screens and people;
 * one part after the other is killed and paused under load. At the end the transitions of alarms are compared with those
 * of a single-threaded reference over the log, and commands and audit with ledgers. Exits with 1 after any difference.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { integerArgument } from '../../scripts/integer-argument.ts';
import { runCommand } from '../chaos/run-command.ts';
import { freePortBase } from '../ports.ts';
import { ControlChaosRun, type ControlChaosSettings } from './control-chaos-run.ts';
import { controlFaults } from './control-faults.ts';

const root = resolve(import.meta.dirname, '../..');

const settings = settingsFrom(process.argv.slice(2));
const run = new ControlChaosRun({ ...settings, portBase: await freePortBase(2) }, (text) =>
  process.stdout.write(`${text}\n`),
);

await runCommand(run, settings.limitSeconds);

function settingsFrom(args: readonly string[]): Omit<ControlChaosSettings, 'portBase'> & { limitSeconds: number } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      faults: { type: 'string', default: controlFaults.map(({ name }) => name).join() },
      machines: { type: 'string', default: '16' },
      seconds: { type: 'string', default: '5' },
      'limit-seconds': { type: 'string', default: '2400' },
      data: { type: 'string', default: 'data/control-chaos' },
    },
  });
  const names = values.faults.split(',');
  const unknown = names.find((name) => !controlFaults.some((each) => each.name === name));
  if (unknown !== undefined) {
    const known = controlFaults.map(({ name }) => name).join(', ');
    process.stderr.write(`FAULTS: expected some of ${known}, got ${unknown}\n`);
    process.exit(1);
  }
  return {
    faults: names.map((name) => controlFaults.find((each) => each.name === name)!),
    machines: integerArgument('MACHINES', values.machines, 3, 500),
    calmMs: integerArgument('SECONDS', values.seconds, 0, 600) * 1000,
    limitSeconds: integerArgument('LIMIT_SECONDS', values['limit-seconds'], 30, 100_000),
    data: resolve(root, values.data),
  };
}
