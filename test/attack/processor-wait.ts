import { readFile } from 'node:fs/promises';

/**
 * How long processes wait for a processor that others have: the second number of `/proc/<pid>/schedstat`, of the main
 * thread. It tells a machine that has no time from a server that does too much: only the first makes its threads wait.
 * Linux only; elsewhere 0.
 */
export class ProcessorWait {
  readonly #pids: () => readonly number[];
  #waitedMs = new Map<number, number>();
  #sinceMs = performance.now();

  constructor(pids: () => readonly number[]) {
    this.#pids = pids;
  }

  /** Of the time since the last call, the part that the process waited which waited longest; 0 to 1. */
  async taken(): Promise<number> {
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
    // Another system, or it ended.
    return 0;
  }
}
