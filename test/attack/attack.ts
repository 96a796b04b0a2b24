/**
 * `make attack`: runs the named attacks of `attacks.ts`, or all of them, at full size, each on a target of its own with
 * honest clients. Prints a table; exits with 1 where honest clients noticed an attack, or the attacker did not get the
 * expected refusals.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { deserialize, serialize } from 'node:v8';
import type { Attack, AttackSize, TargetKind } from './attack-definition.ts';
import { AttackRun, ClientProcesses } from './attack-run.ts';
import { tableOf } from './attack-table.ts';
import { attacks } from './attacks.ts';
import { type AttackFigures, disturbanceOf, failuresOf, wordsOf } from './judgement.ts';
import { runInNamespace } from './network-namespace.ts';
import { placement, raiseOwnPriority, unplaced } from './process-placement.ts';
import { StackTarget } from './stack-target.ts';
import { StandaloneTarget } from './standalone-target.ts';
import type { Target } from './target.ts';

interface Options {
  readonly chosen: readonly Attack[];
  readonly targets: readonly TargetKind[];
  readonly size: AttackSize;
  readonly data: string;
  /** File for the figures, where another `attack.ts` has started this one in a network namespace. */
  readonly figures: string | undefined;
}

/** Runs of an attack, if the processor or the disk of the machine was overloaded. */
const runsMax = 3;
const root = resolve(import.meta.dirname, '../..');
const started: { stop(): Promise<unknown> }[] = [];

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => void stopAll().then(() => process.exit(130)));
process.exit(await main(optionsFrom(process.argv.slice(2))));

async function main(options: Options): Promise<number> {
  const rows: AttackFigures[] = [];
  let failures = 0;
  const isRaised = options.size === 'full' && raiseOwnPriority();
  const clients = new ClientProcesses(options.size === 'full' ? placement() : unplaced);
  started.push(clients);
  const { words } = clients.placement;
  const own = isRaised ? 'everything else at nice -10' : 'everything else at nice 0';
  print(`${words}, ${own}; load ${loadavg()[0]!.toFixed(1)}. Data and logs in ${options.data}.`);
  for (const attack of options.chosen) {
    for (const kind of attack.targets.filter((each) => options.targets.includes(each))) {
      print(`\n${attack.name} on ${kind}: ${attack.words}`);
      try {
        let row = await rowOf(attack, kind, options, clients);
        let failed = report(row, options.size);
        for (let run = 2; run <= runsMax; run++) {
          const disturbance = disturbanceOf(row, options.size);
          if (disturbance === undefined) break;
          print(`  again, run ${run} of ${runsMax}: ${disturbance}`);
          row = await rowOf(attack, kind, options, clients);
          failed = report(row, options.size);
        }
        rows.push(row);
        failures += failed;
      } catch (thrown) {
        failures++;
        print(`  FAILED: the run: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`);
      }
    }
  }
  await stopAll();
  if (options.figures !== undefined) {
    await writeFile(options.figures, serialize(rows.map(({ attack, ...row }) => ({ ...row, name: attack.name }))));
    return failures === 0 ? 0 : 1;
  }
  print(`\n${tableOf(rows, options.size)}\n`);
  print(failures === 0 ? 'Honest clients did not notice any attack.' : `${failures} of ${rows.length} attacks FAILED.`);
  return failures === 0 ? 0 : 1;
}

async function rowOf(
  attack: Attack,
  kind: TargetKind,
  options: Options,
  clients: ClientProcesses,
): Promise<AttackFigures> {
  if (attack.receiveBufferBytes !== undefined && options.figures === undefined) {
    const file = join(options.data, `${attack.name}.figures`);
    await mkdir(options.data, { recursive: true });
    const own = ['--attack', attack.name, '--target', kind, '--size', options.size, '--data', options.data];
    await runInNamespace(attack.receiveBufferBytes, [process.execPath, process.argv[1]!, ...own, '--figures', file]);
    const [row] = deserialize(await readFile(file)) as [Omit<AttackFigures, 'attack'>];
    return { ...row, attack };
  }
  const folder = join(options.data, `${attack.name}-${kind}-${Date.now()}`);
  await mkdir(folder, { recursive: true });
  const startedAtMs = performance.now();
  const target: Target = await (kind === 'standalone' ? StandaloneTarget : StackTarget).start({
    folder,
    heapMb: attack.heapMb,
  });
  started.push(target);
  try {
    const firstStartMs = performance.now() - startedAtMs;
    const run = new AttackRun({ target, firstStartMs, size: options.size, clients, folder });
    await run.start([attack]);
    const row = await run.run(attack, true);
    await run.stop();
    return row;
  } finally {
    await target.stop();
  }
}

/** Prints the figures of an attack. Returns 1 where it failed. */
function report(row: AttackFigures, size: AttackSize): 0 | 1 {
  const { quiet, under, after, control } = row;
  print(
    `  p50 / p99 / max ms: quiet ${shownTimes(quiet)}, under attack ${shownTimes(under)}, after ${shownTimes(after)}`,
  );
  if (control !== undefined) print(`  the same bytes to a sink: ${shownTimes(control)}`);
  print(`  visits p99: quiet ${quiet.visits.p99}, under attack ${under.visits.p99} ms of ${under.visits.count}`);
  if (under.probes.count > 0) print(`  probes p99 under attack: ${under.probes.p99} ms of ${under.probes.count}`);
  const waited = `waited for a processor ${Math.round(row.waitShare * 100)} % of the time`;
  print(`  loop lag of the target ${Math.round(row.lagMs)} ms, of the honest clients ${under.ownLagMs} ms; ${waited}`);
  print(
    `  the slowest write of 4 KB to disk took ${row.disk.slowestSyncMs} ms; the target wrote ${row.disk.writtenMbPerS.toFixed(1)} MB/s`,
  );
  print(`  the attacker counted: ${wordsOf(row.counts)}`);
  const failures = failuresOf(row, size);
  for (const { words } of failures) print(`  FAILED: ${words}`);
  return failures.length === 0 ? 0 : 1;
}

function shownTimes({ p50, p99, max }: { p50: number; p99: number; max: number }): string {
  return `${p50} / ${p99} / ${max}`;
}

async function stopAll(): Promise<void> {
  for (const each of started.splice(0).toReversed()) await each.stop();
}

function optionsFrom(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      attack: { type: 'string', default: '' },
      target: { type: 'string', default: '' },
      size: { type: 'string', default: 'full' },
      data: { type: 'string', default: 'data/attack' },
      figures: { type: 'string' },
    },
  });
  const names = values.attack === '' ? attacks.map(({ name }) => name) : values.attack.split(',');
  const chosen = names.map((name) => attacks.find((each) => each.name === name));
  const unknown = names.filter((_, i) => chosen[i] === undefined);
  if (unknown.length > 0) {
    fail(`ATTACK: expected names of ${attacks.map(({ name }) => name).join(', ')}, got ${unknown.join(', ')}`);
  }
  const { size, target } = values;
  if (size !== 'full' && size !== 'small') return fail(`SIZE: expected full or small, got ${size}`);
  if (target !== '' && target !== 'standalone' && target !== 'stack') {
    return fail(`TARGET: expected standalone or stack, got ${target}`);
  }
  return {
    chosen: chosen.filter((attack) => attack !== undefined),
    targets: target === '' ? ['standalone', 'stack'] : [target],
    size,
    data: resolve(root, values.data),
    figures: values.figures,
  };
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
