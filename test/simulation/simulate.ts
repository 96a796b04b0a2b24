import { parseArgs } from 'node:util';
import { integerArgument } from '../../scripts/integer-argument.ts';
import { seedMax, seedsMax, threadsMax } from './arguments.ts';
import { runJobs } from './pool.ts';
import type { RunResult } from './run.ts';

/**
 * `make simulate`: runs many seeds on two threads, or one with a trace of its events. Loads the product after it has
 * checked the arguments.
 */
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    first: { type: 'string', default: '1' },
    seed: { type: 'string' },
    threads: { type: 'string', default: '2' },
  },
});

const shownViolations = 5;

function print({ seed, violations, digest }: RunResult): void {
  console.log(`seed ${seed} failed (trace ${digest}); replay it with: make simulate SEED=${seed}`);
  for (const { invariant, facts } of violations.slice(0, shownViolations)) console.log(`  ${invariant}: ${facts}`);
}

async function one(seed: number): Promise<boolean> {
  const { simulate } = await import('./run.ts');
  const result = await simulate({ seed, trace: (line) => console.log(line) });
  if (result.violations.length > 0) print(result);
  console.log(JSON.stringify({ ...result, violations: result.violations.length }));
  return result.violations.length === 0;
}

async function many(first: number, seeds: number, threads: number): Promise<boolean> {
  const startMs = performance.now();
  const jobs = Array.from({ length: seeds }, (_, i) => ({ seed: first + i }));
  const convergedMs: number[] = [];
  let [done, failed, reports, frames, steps] = [0, 0, 0, 0, 0];
  let [commands, executed, leases] = [0, 0, 0];
  await runJobs<{ seed: number }, RunResult>(
    jobs,
    threads,
    (_, result) => {
      done++;
      reports += result.reports;
      frames += result.frames;
      steps += result.steps;
      commands += result.control?.submitted ?? 0;
      executed += result.control?.executed ?? 0;
      leases += result.control?.leases ?? 0;
      if (result.convergedMs !== undefined) convergedMs.push(result.convergedMs);
      if (result.violations.length > 0) {
        failed++;
        print(result);
      }
      if (done % 50 === 0) console.log(`${done} of ${seeds} seeds, ${failed} failed, ${seconds(startMs)} s`);
    },
    ({ seed }, error) => {
      done++;
      failed++;
      console.log(`seed ${seed} stops with an uncaught error; replay it with: make simulate SEED=${seed}`);
      console.log(error.stack ?? error.message);
    },
  );
  convergedMs.sort((a, b) => a - b);
  const at = (share: number) => convergedMs[Math.floor((convergedMs.length - 1) * share)] ?? 0;
  console.log(
    `${seeds} seeds from ${first}: ${failed} failed; ${steps} events, ${reports} reports, ${frames} frames; ${seconds(startMs)} s`,
  );
  console.log(`of control: ${commands} commands requested, ${executed} executed, ${leases} leases`);
  console.log(
    `from the last fault until all clients are live and all nodes see one ring: p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, most ${at(1)} ms`,
  );
  return failed === 0;
}

function seconds(sinceMs: number): string {
  return ((performance.now() - sinceMs) / 1000).toFixed(0);
}

const isPassed =
  values.seed === undefined
    ? await many(
        integerArgument('FIRST', values.first, 0, seedMax),
        integerArgument('SEEDS', values.seeds, 1, seedsMax),
        integerArgument('--threads', values.threads, 1, threadsMax),
      )
    : await one(integerArgument('SEED', values.seed, 0, seedMax));
process.exitCode = isPassed ? 0 : 1;
