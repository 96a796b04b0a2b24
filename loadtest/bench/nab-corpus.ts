import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NabFile } from './nab-score.ts';

/**
 * Reads the files of a folder of the Numenta Anomaly Benchmark: `data/<group>/<name>.csv`, and the labelled windows, in
 * `windows.json` or, in a copy of the repository numenta/NAB, in `labels/combined_windows.json`. In order of names.
 */
export function nabFiles(folder: string): NabFile[] {
  const windows = labelsOf(folder);
  return Object.keys(windows)
    .sort()
    .map((name) => fileOf(folder, name, windows[name]!));
}

type Labels = Record<string, [first: string, last: string][]>;

function labelsOf(folder: string): Labels {
  for (const file of ['windows.json', 'labels/combined_windows.json']) {
    try {
      return JSON.parse(readFileSync(join(folder, file), 'utf8')) as Labels;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  throw new Error(`${folder}: expected windows.json or labels/combined_windows.json`);
}

function fileOf(folder: string, name: string, labels: Labels[string]): NabFile {
  const lines = readFileSync(join(folder, 'data', name), 'utf8')
    .trim()
    .split(/\r?\n/)
    .slice(1);
  const times = lines.map((line) => line.slice(0, line.indexOf(',')));
  const values = lines.map((line) => Number(line.slice(line.indexOf(',') + 1)));
  const rowOf = (label: string) => {
    // Labels have microseconds, rows do not.
    const row = times.indexOf(label.replace(/\.0+$/, ''));
    if (row < 0) throw new Error(`${name}: expected a row of the label ${label}`);
    return row;
  };
  return { name, times, values, windows: labels.map(([first, last]) => [rowOf(first), rowOf(last)] as const) };
}

/** Returns the time of a row, epoch ms, as UTC: the files have no time zone. */
export function nabTimeMs(time: string): number {
  return Date.parse(`${time.replace(' ', 'T')}Z`);
}
