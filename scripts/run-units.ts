/**
 * `node scripts/run-units.ts --jobs 2 <globs of test files>`: runs unit tests, those of a package or service in one
 * process, without the tracking that `untracked-tests.ts` turns off. A process for each file, as `node --test` has it,
 * costs more to start than most files cost to run. Prints the output of each process when it exits, and the sums last.
 * Exits with 1 if a test fails, or did not run.
 */
import { spawn } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { hasSuites } from '@tailrace/testkit/suites';
import { integerArgument } from './integer-argument.ts';

const untracked = join(import.meta.dirname, '../packages/testkit/src/untracked-tests.ts');
/** So that the largest service is several processes, which run beside each other. */
const filesMax = 30;
/** Hooks at the root of a file, which would run for all files of the process, and flags of V8. */
const ofOneProcess = /^(?:before|after|beforeEach|afterEach|failOnLeaks)\(|\bsetFlagsFromString\(/m;
const isForeign = (path: string) => /(^|[\\/])(node_modules|dist)$/.test(path);
const sums = ['tests', 'suites', 'pass', 'fail', 'cancelled', 'skipped', 'todo'] as const;

const { values, positionals } = parseArgs({
  options: { jobs: { type: 'string', default: '2' } },
  allowPositionals: true,
});
const jobs = integerArgument('JOBS', values.jobs, 1, 64);
const files = [...new Set(positionals.flatMap((glob) => globSync(glob, { exclude: isForeign })))].sort();
if (files.length === 0) {
  process.stderr.write(`expected globs of test files, got ${positionals.join(' ') || 'none'}\n`);
  process.exit(1);
}
const startedMs = performance.now();
const counts = new Map<string, number>(sums.map((name) => [name, 0]));
const waiting = processesFor(files);
await Promise.all(Array.from({ length: jobs }, work));
for (const name of sums) process.stdout.write(`ℹ ${name} ${counts.get(name)}\n`);
process.stdout.write(`ℹ duration_ms ${Math.round(performance.now() - startedMs)}\n`);

/** Returns whether a file has a process of its own, as `node --test` runs it. */
function isAlone(file: string): boolean {
  const text = readFileSync(file, 'utf8');
  return ofOneProcess.test(text) || hasSuites(text);
}

/** Returns the files of each process, the most first. */
function processesFor(all: readonly string[]): string[][] {
  const alone: string[][] = [];
  const folders = new Map<string, string[]>();
  for (const file of all) {
    const folder = dirname(file).split('/').slice(0, 2).join('/');
    if (isAlone(file)) alone.push([file]);
    else folders.set(folder, [...(folders.get(folder) ?? []), file]);
  }
  const together = [...folders.values()].flatMap((own) => {
    const parts = Math.ceil(own.length / filesMax);
    return Array.from({ length: parts }, (_, part) => own.filter((_, index) => index % parts === part));
  });
  return [...together, ...alone].sort((a, b) => b.length - a.length);
}

async function work(): Promise<void> {
  for (let own = waiting.shift(); own !== undefined; own = waiting.shift()) await runTogether(own);
}

function runTogether(own: readonly string[]): Promise<void> {
  const shared = isAlone(own[0]!) ? [] : ['--experimental-test-isolation=none'];
  const args = ['--require', untracked, ...shared, '--test', '--test-reporter=spec', ...own];
  // Of a test that starts this one: its runner would take the results for its own.
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  return new Promise((resolve) => {
    child.on('error', (error) => {
      output += `${error.message}\n`;
    });
    child.on('close', (code, signal) => {
      const [tests, failed] = [counts.get('tests')!, counts.get('fail')!];
      process.stdout.write(withoutSums(output));
      // Each file has a test. Without one the process has exited before they ran.
      const isComplete = counts.get('tests')! - tests >= own.length;
      if (code !== 0 || !isComplete) {
        process.exitCode = 1;
        process.stdout.write(
          `${own.join(' ')}: exit code ${code ?? signal}, ${isComplete ? '' : 'not '}all files ran\n`,
        );
        // An error that is of no test, or the death of the process.
        if (counts.get('fail') === failed) counts.set('fail', failed + 1);
      }
      resolve();
    });
  });
}

/** Adds the sums of a process to those of all, and returns its other lines. */
function withoutSums(output: string): string {
  return output.replace(/^ℹ (\w+) ([\d.]+)\n/gm, (line, name: string, count: string) => {
    const sum = counts.get(name);
    if (sum !== undefined) counts.set(name, sum + Number(count));
    return sum !== undefined || name === 'duration_ms' ? '' : line;
  });
}
