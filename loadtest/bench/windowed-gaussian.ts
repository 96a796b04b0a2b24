/**
 * The detector "windowed Gaussian" of numenta/NAB, against which the learnt band is measured: how many standard
 * deviations a value is from the mean of the last 6,400 values, which move on by 100 at a time. Published: 39.6 over
 * the whole benchmark in the standard profile. The original's score is the probability, 1 from about 7 deviations on.
 */
export function windowedGaussian(values: readonly number[]): Float64Array {
  const scores = new Float64Array(values.length);
  let first = 0;
  let mean = 0;
  let deviation = 1;
  for (let index = 0; index < values.length; index++) {
    scores[index] = index === 0 ? 0 : Math.abs(values[index]! - mean) / deviation;
    const end = index + 1;
    if (end > windowRows) {
      if ((end - windowRows) % stepRows !== 0) continue;
      first = end - windowRows;
    }
    ({ mean, deviation } = momentsOf(values, first, end));
  }
  return scores;
}

const windowRows = 6400;
const stepRows = 100;

function momentsOf(values: readonly number[], first: number, end: number): { mean: number; deviation: number } {
  let sum = 0;
  for (let index = first; index < end; index++) sum += values[index]!;
  const mean = sum / (end - first);
  let squares = 0;
  for (let index = first; index < end; index++) squares += (values[index]! - mean) ** 2;
  return { mean, deviation: Math.sqrt(squares / (end - first)) || 1e-6 };
}
