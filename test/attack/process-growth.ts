import { readFile } from 'node:fs/promises';

/** How much a counter of each process has grown, and in what time. */
export interface Growth {
  readonly grown: readonly number[];
  readonly elapsedMs: number;
}

/** A counter that the kernel keeps for each of some processes, since the last call. One that is new counts from then on. */
export class ProcessGrowth {
  readonly #pids: () => readonly number[];
  readonly #read: (pid: number) => Promise<number>;
  #counts = new Map<number, number>();
  #sinceMs = performance.now();

  constructor(pids: () => readonly number[], read: (pid: number) => Promise<number>) {
    this.#pids = pids;
    this.#read = read;
  }

  async taken(): Promise<Growth> {
    const counts = new Map<number, number>();
    for (const pid of this.#pids()) counts.set(pid, await this.#read(pid));
    const nowMs = performance.now();
    const grown = Array.from(counts, ([pid, count]) => count - (this.#counts.get(pid) ?? count));
    const elapsedMs = Math.max(1, nowMs - this.#sinceMs);
    this.#counts = counts;
    this.#sinceMs = nowMs;
    return { grown, elapsedMs };
  }
}

/** Returns a file of `/proc/<pid>`; empty on another system, or where the process has ended. */
export function procText(pid: number, name: 'io' | 'schedstat' | 'status'): Promise<string> {
  return readFile(`/proc/${pid}/${name}`, 'latin1').catch(() => '');
}
