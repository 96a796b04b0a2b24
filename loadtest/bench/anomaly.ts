import { bandSeverity, LearntBand } from '@tailrace/rules/anomaly/learnt-band';
import { nabFiles, nabTimeMs } from './nab-corpus.ts';
import { type Detections, type NabFile, type NabScore, nabScore } from './nab-score.ts';
import type { Row } from './row.ts';
import { windowedGaussian } from './windowed-gaussian.ts';

/** For this many readings after an alarm, only a reading that is more severe is another one, as with an off-delay. */
const heldReadings = 100;

/**
 * The learnt band on the Numenta Anomaly Benchmark, standard profile, with the same constants for each file. `folder`
 * has `data/` and the labels: `git clone https://github.com/numenta/NAB` is the whole benchmark.
 *
 * The halves are the files with even and odd numbers in the order of their names. "A on B" is the score of the second
 * half at the threshold that is best for the first one.
 */
export async function benchAnomaly(folder: string | undefined): Promise<Row[]> {
  if (folder === undefined || folder === '') {
    throw new Error('anomaly: expected NAB=<folder>, a clone of https://github.com/numenta/NAB or a part of it');
  }
  const files = nabFiles(folder);
  const started = performance.now();
  const detections = files.map((file) => ({ file, scores: bandScores(file) }));
  const micros = ((performance.now() - started) * 1000) / files.reduce((sum, { values }) => sum + values.length, 0);
  const whole = nabScore(detections);
  const gaussian = nabScore(files.map((file) => ({ file, scores: windowedGaussian(file.values) })));
  const [a, b] = [halfOf(detections, 0), halfOf(detections, 1)];
  const [bestOfA, bestOfB] = [nabScore(a), nabScore(b)];
  const [aOnB, bOnA] = [nabScore(b, bestOfA.threshold), nabScore(a, bestOfB.threshold)];
  const halves = [bestOfA, bestOfB, aOnB, bOnA].map(({ score }) => score.toFixed(1));
  return [
    {
      what: `anomaly rule, Numenta Anomaly Benchmark, standard profile, ${files.length} files, ${whole.windows} windows`,
      ours: `${figuresOf(whole)}; at ${bandSeverity.raise}, which alarms use, ${nabScore(detections, bandSeverity.raise).score.toFixed(1)}; half A ${halves[0]}, half B ${halves[1]}, A on B ${halves[2]}, B on A ${halves[3]}; ${micros.toFixed(1)} µs a reading`,
      against: `windowed Gaussian: ${figuresOf(gaussian)} (published over all 58 files: 39.6; RCF 51.7, HTM 70.1)`,
      result: whole.score.toFixed(1),
      target: '≥ 52',
      met: whole.score >= 52,
    },
  ];
}

/** Returns the severity of each reading that raises an alarm; 0 of others. */
function bandScores(file: NabFile): Float64Array {
  const scores = new Float64Array(file.values.length);
  const band = new LearntBand();
  let held = 0;
  for (let index = 0; index < scores.length; index++) {
    const severity = band.observe(nabTimeMs(file.times[index]!), file.values[index]!)?.severity ?? 0;
    if (severity > held) scores[index] = severity;
    held = Math.max(severity, held * Math.exp(-1 / heldReadings));
  }
  return scores;
}

function halfOf(detections: readonly Detections[], rest: number): Detections[] {
  return detections.filter((_, index) => index % 2 === rest);
}

function figuresOf({ score, windowsFound, windows, falseRows, threshold }: NabScore): string {
  return `${score.toFixed(1)}, ${windowsFound} of ${windows} windows, ${falseRows} false readings, at ${threshold.toFixed(2)}`;
}
