/**
 * `make fuzz SECONDS=300`: repeats the seeded tests of parsers, and of whatever else takes input from outside, with one
 * seed after the other. Prints the seed of a failure, and the command that repeats it. Exits with 1 on any.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { integerArgument } from '../../scripts/integer-argument.ts';
import { packageFiles } from '../../scripts/source-files.ts';
import { FuzzRun } from './fuzz-run.ts';

const root = resolve(import.meta.dirname, '../..');
/** Imports of a file whose seeds `make fuzz` sets. */
const isSeeded = /from '(?:@tailrace\/testkit\/fuzz|\.\.\/test\/arbitraries\.ts)'/;
const seedsMax = 1_000_000;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: `${1 + Math.floor(Math.random() * seedsMax)}` },
    seconds: { type: 'string', default: '300' },
    factor: { type: 'string', default: '10' },
    jobs: { type: 'string', default: '2' },
    only: { type: 'string', default: '' },
    data: { type: 'string', default: 'data/fuzz' },
  },
});
const files = packageFiles()
  .filter((file) => /\.i?test\.ts$/.test(file) && file.includes(values.only))
  .map((file) => resolve(root, file))
  .filter((file) => isSeeded.test(readFileSync(file, 'utf8')));
if (files.length === 0) {
  process.stderr.write(`ONLY: expected a part of the name of a seeded test, got ${values.only}\n`);
  process.exit(1);
}
const run = new FuzzRun({
  ...{ root, files, print: (text) => process.stdout.write(`${text}\n`) },
  seed: integerArgument('SEED', values.seed, 1, 2 * seedsMax),
  limitMs: integerArgument('SECONDS', values.seconds, 0, 86_400) * 1000,
  factor: integerArgument('FACTOR', values.factor, 1, 1_000),
  jobs: integerArgument('JOBS', values.jobs, 1, 64),
  data: resolve(root, values.data),
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => run.stop());
process.exitCode = (await run.run()) ? 0 : 1;
