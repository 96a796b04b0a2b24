import { parseArgs } from 'node:util';
import type { Found } from './mutation-run.ts';
import { mutations } from './mutations.ts';
import { runJobs } from './pool.ts';

/** `make simulate-mutations`: takes each mechanism away in turn and prints at which seed the checker sees its lack. */
const { values } = parseArgs({
  options: { seeds: { type: 'string', default: '200' }, threads: { type: 'string', default: '2' } },
});
const jobs = Object.keys(mutations).map((mutation) => ({ mutation, seedsMax: Number(values.seeds) }));
let unseen = 0;
console.log('| mutation | found at seed | invariant |\n| --- | --- | --- |');
await runJobs<(typeof jobs)[0], Found>(
  jobs,
  Number(values.threads),
  (_, { mutation, seed, violation }) => {
    if (seed === undefined) unseen++;
    console.log(`| ${mutation} | ${seed ?? 'never'} | ${violation?.invariant ?? ''} |`);
  },
  ({ mutation }, error) => console.log(`| ${mutation} | an error that nobody caught | ${error.message} |`),
);
if (unseen > 0) console.log(`${unseen} were not seen within ${values.seeds} seeds`);
process.exitCode = unseen === 0 ? 0 : 1;
