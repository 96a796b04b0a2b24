/** What `make fuzz` sets for the tests that it repeats. */
export const fuzzVariables = { seed: 'TAILRACE_FUZZ_SEED', factor: 'TAILRACE_FUZZ_FACTOR' } as const;

const runsDefault = 100;
const seedDefault = 20_261_129;

/**
 * Returns the parameters of a test with fast-check: the same cases in each run, others for each seed of `make fuzz`,
 * which also runs `factor` times as many. Throws `RangeError` for a variable that is no integer of 1 or more.
 */
export function fuzzed(runs = runsDefault, env: NodeJS.ProcessEnv = process.env): { seed: number; numRuns: number } {
  return { seed: integerFrom(env, fuzzVariables.seed, seedDefault), numRuns: runs * factorFrom(env) };
}

/**
 * Returns the seeds of a test with a generator of its own: 1 to `count` in each run, and others, which do not overlap,
 * for each seed of `make fuzz`. Throws as `fuzzed`.
 */
export function fuzzSeeds(count: number, env: NodeJS.ProcessEnv = process.env): number[] {
  const length = count * factorFrom(env);
  const pass = integerFrom(env, fuzzVariables.seed, 0, 0);
  return Array.from({ length }, (_, index) => pass * length + index + 1);
}

function factorFrom(env: NodeJS.ProcessEnv): number {
  return integerFrom(env, fuzzVariables.factor, 1);
}

function integerFrom(env: NodeJS.ProcessEnv, name: string, fallback: number, min = 1): number {
  const text = env[name];
  if (text === undefined || text === '') return fallback;
  const value = Number(text);
  if (Number.isInteger(value) && value >= min && value < 2 ** 31) return value;
  throw new RangeError(`${name}: expected an integer from ${min} to 2147483647, got ${text}`);
}
