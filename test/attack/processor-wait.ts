import { readFile } from 'node:fs/promises';

/**
 * How long processes wait for a processor: the second number of `/proc/<pid>/schedstat`, of the main thread. It
 * distinguishes an overloaded machine from an overloaded server: only on the first threads wait. Linux only; elsewhere
 * 0.
 */
export class ProcessorWait {
  readonly #pids: () => readonly number[];
  #waitedMs = new Map<number, number>();
  #sinceMs = performance.now();

  constructor(pids: () => readonly number[]) {
    this.#pids = pids;
  }

  /** Returns the share of the time since the last call that the process waited which waited longest; 0 to 1. */
  async share(): Promise<number> {
    const waited = new Map<number, number>();
    for (const pid of this.#pids()) waited.set(pid, await waitedMs(pid));
    const nowMs = performance.now();
    const longest = Math.max(0, ...Array.from(waited, ([pid, ms]) => ms - (this.#waitedMs.get(pid) ?? ms)));
    const share = longest / Math.max(1, nowMs - this.#sinceMs);
    this.#waitedMs = waited;
    this.#sinceMs = nowMs;
    return share;
  }
}

async function waitedMs(pid: number): Promise<number> {
  try {
    return Number((await readFile(`/proc/${pid}/schedstat`, 'latin1')).split(' ')[1]) / 1e6;
  } catch {
    // Another system, or it has exited.
    return 0;
  }
}
