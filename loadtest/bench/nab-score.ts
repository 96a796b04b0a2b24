/**
 * The score of the Numenta Anomaly Benchmark (Lavin and Ahmad, "Evaluating real-time anomaly detection algorithms",
 * ICMLA 2015), standard profile, after `nab/sweeper.py`, `nab/optimizer.py` and `nab/runner.py` of numenta/NAB:
 *
 * - The first 15 % of a file, at most 750 rows, are probation: they count neither way.
 * - Of each labelled window, the best row counts, which is the first one detected: 1 at its left edge, 0 at its right
 *   edge, by a sigmoid. A window without a detection counts -1.
 * - Each detected row outside a window counts -0.11; less shortly after a window, by the same sigmoid.
 * - One threshold for all files, the best one. The sum is scaled, so that no detection at all is 0 and a detection at
 *   the left edge of each window is 100.
 */
export interface NabFile {
  readonly name: string;
  /** Of each row, as in the file. */
  readonly times: readonly string[];
  readonly values: readonly number[];
  /** First and last row of each labelled window. */
  readonly windows: readonly (readonly [first: number, last: number])[];
}

/** What a detector has found in a file: a score for each row, the higher the more anomalous. */
export interface Detections {
  readonly file: NabFile;
  readonly scores: ArrayLike<number>;
}

export interface NabScore {
  /** 0 to 100; below 0 for a detector that is worse than none. */
  readonly score: number;
  /** A row is detected if its score is at least this. Infinity: none. */
  readonly threshold: number;
  readonly windows: number;
  readonly windowsFound: number;
  /** Rows detected outside windows. */
  readonly falseRows: number;
}

const weights = { falseRow: 0.11, unfoundWindow: 1 } as const;
const probation = { share: 0.15, rowsMax: 750 } as const;
const scoreMax = sigmoid(-1);

/** Returns the score at the best threshold over all files, or at the threshold. */
export function nabScore(detections: readonly Detections[], threshold?: number): NabScore {
  const rows = detections.flatMap(rowsOf).sort((a, b) => b.score - a.score);
  const windows = detections.reduce((sum, { file }) => sum + file.windows.length, 0);
  // A window within the probation cannot be found, and is not counted against a detector, as in the original.
  const countable = new Set(rows.flatMap(({ window }) => (window === undefined ? [] : [window])));
  const best = new Map<string, number>();
  let sum = -countable.size * weights.unfoundWindow;
  let falseRows = 0;
  const none = sum;
  const normalized = () => (100 * (sum - none)) / (windows - none);
  const snapshot = (at: number): NabScore => ({
    score: normalized(),
    threshold: at,
    windows,
    windowsFound: best.size,
    falseRows,
  });
  let found = snapshot(Number.POSITIVE_INFINITY);
  for (let index = 0; index < rows.length; index++) {
    const { score, window, weight } = rows[index]!;
    if (threshold !== undefined && score < threshold) break;
    if (window === undefined) {
      falseRows++;
      sum += weight;
    } else {
      const before = best.get(window) ?? -weights.unfoundWindow;
      best.set(window, Math.max(before, weight));
      sum += Math.max(0, weight - before);
    }
    if (score === rows[index + 1]?.score) continue;
    if (threshold !== undefined || normalized() > found.score) found = snapshot(score);
  }
  return found;
}

/** Returns the first row of a file that counts. */
export function probationRows(rows: number): number {
  return Math.min(Math.floor(probation.share * rows), probation.rowsMax);
}

interface Row {
  readonly score: number;
  /** What the row adds to the score if it is detected. */
  readonly weight: number;
  readonly window: string | undefined;
}

function rowsOf({ file, scores }: Detections): Row[] {
  const rows: Row[] = [];
  let next = 0;
  for (let index = 0; index < file.values.length; index++) {
    if (next < file.windows.length && index > file.windows[next]![1]) next++;
    const window = file.windows[next];
    const isInside = window !== undefined && index >= window[0];
    const weight = isInside
      ? sigmoid(-(window[1] - index + 1) / (window[1] - window[0] + 1)) / scoreMax
      : weights.falseRow * weightAfter(file.windows[next - 1], index);
    if (index < probationRows(file.values.length)) continue;
    rows.push({ score: scores[index]!, weight, window: isInside ? `${file.name}|${next}` : undefined });
  }
  return rows;
}

function weightAfter(window: readonly [first: number, last: number] | undefined, index: number): number {
  if (window === undefined) return -1;
  const position = (index - window[1]) / (window[1] - window[0]);
  return position > 3 ? -1 : sigmoid(position);
}

/** From 0.99 at the left edge of a window, -1, over 0 at its right edge, to -0.99 as far behind it. */
function sigmoid(position: number): number {
  return 2 / (1 + Math.exp(5 * position)) - 1;
}
