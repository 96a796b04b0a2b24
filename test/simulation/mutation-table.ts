import { parseArgs } from 'node:util';
import type { Found } from './mutation-run.ts';
import { mutations } from './mutations.ts';
import { runJobs } from './pool.ts';

/** `make simulate-mutations`: removes each mechanism in turn and prints the seed at which the checker finds that. */
const { values } = parseArgs({
  options: { seeds: { type: 'string', default: '200' }, threads: { type: 'string', default: '2' } },
});
const jobs = Object.keys(mutations).map((mutation) => ({ mutation, seedsMax: Number(values.seeds) }));
let undetected = 0;
console.log('| mutation | found at seed | invariant |\n| --- | --- | --- |');
await runJobs<(typeof jobs)[0], Found>(
  jobs,
  Number(values.threads),
  (_, { mutation, seed, violation }) => {
    if (seed === undefined) undetected++;
    console.log(`| ${mutation} | ${seed ?? 'never'} | ${violation?.invariant ?? ''} |`);
  },
  ({ mutation }, error) => console.log(`| ${mutation} | an uncaught error | ${error.message} |`),
);
if (undetected > 0) console.log(`${undetected} were not found within ${values.seeds} seeds`);
process.exitCode = undetected === 0 ? 0 : 1;
