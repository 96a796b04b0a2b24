import { parseArgs } from 'node:util';
import { integerArgument } from '../../scripts/integer-argument.ts';
import { seedsMax, threadsMax } from './arguments.ts';
import type { Found } from './mutation-run.ts';
import { runJobs } from './pool.ts';

/** `make simulate-mutations`: removes each mechanism in turn and prints the seed at which the checker finds that. */
const { values } = parseArgs({
  options: { seeds: { type: 'string', default: '200' }, threads: { type: 'string', default: '2' } },
});
const seeds = integerArgument('SEEDS', values.seeds, 1, seedsMax);
const threads = integerArgument('--threads', values.threads, 1, threadsMax);
// Loads the product, after the arguments are checked.
const { mutations } = await import('./mutations.ts');
const jobs = Object.keys(mutations).map((mutation) => ({ mutation, seedsMax: seeds }));
let undetected = 0;
console.log('| mutation | found at seed | invariant |\n| --- | --- | --- |');
await runJobs<(typeof jobs)[0], Found>(
  jobs,
  threads,
  (_, { mutation, seed, violation }) => {
    if (seed === undefined) undetected++;
    console.log(`| ${mutation} | ${seed ?? 'never'} | ${violation?.invariant ?? ''} |`);
  },
  ({ mutation }, error) => console.log(`| ${mutation} | an uncaught error | ${error.message} |`),
);
if (undetected > 0) console.log(`${undetected} were not found within ${seeds} seeds`);
process.exitCode = undetected === 0 ? 0 : 1;
