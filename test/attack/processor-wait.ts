import { ProcessGrowth, procText } from './process-growth.ts';

/**
 * How long processes wait for a processor that others have: the second number of `/proc/<pid>/schedstat`, of the main
 * thread. It tells a machine that has no time from a server that does too much: only the first makes its threads wait.
 * Linux only; elsewhere 0.
 */
export class ProcessorWait {
  readonly #waited: ProcessGrowth;

  constructor(pids: () => readonly number[]) {
    this.#waited = new ProcessGrowth(pids, waitedMs);
  }

  /** Of the time since the last call, the part that the process waited which waited longest; 0 to 1. */
  async taken(): Promise<number> {
    const { grown, elapsedMs } = await this.#waited.taken();
    return Math.max(0, ...grown) / elapsedMs;
  }
}

async function waitedMs(pid: number): Promise<number> {
  return Number((await procText(pid, 'schedstat')).split(' ')[1] ?? 0) / 1e6;
}
