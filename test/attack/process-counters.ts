import { readFile } from 'node:fs/promises';

/** The increase of a counter of each process, and the time it took, ms. */
export interface CounterIncreases {
  readonly increases: readonly number[];
  readonly elapsedMs: number;
}

/** Reads a counter of the kernel for each process. The counter of a new process starts at its first reading. */
export class ProcessCounters {
  readonly #pids: () => readonly number[];
  readonly #read: (pid: number) => Promise<number>;
  #counts = new Map<number, number>();
  #sinceMs = performance.now();

  constructor(pids: () => readonly number[], read: (pid: number) => Promise<number>) {
    this.#pids = pids;
    this.#read = read;
  }

  /** Returns the increases since the last call. */
  async take(): Promise<CounterIncreases> {
    const counts = new Map<number, number>();
    for (const pid of this.#pids()) counts.set(pid, await this.#read(pid));
    const nowMs = performance.now();
    const increases = Array.from(counts, ([pid, count]) => count - (this.#counts.get(pid) ?? count));
    const elapsedMs = Math.max(1, nowMs - this.#sinceMs);
    this.#counts = counts;
    this.#sinceMs = nowMs;
    return { increases, elapsedMs };
  }
}

/** Returns a file of `/proc/<pid>`; empty on another system, or if the process has exited. */
export function procText(pid: number, name: 'io' | 'schedstat' | 'status'): Promise<string> {
  return readFile(`/proc/${pid}/${name}`, 'latin1').catch(() => '');
}
