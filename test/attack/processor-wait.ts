import { ProcessCounters, procText } from './process-counters.ts';

/**
 * How long processes wait for a processor: the second number of `/proc/<pid>/schedstat`, of the main thread. It
 * distinguishes an overloaded machine from an overloaded server: only on the first threads wait. Linux only; elsewhere
 * 0.
 */
export class ProcessorWait {
  readonly #waited: ProcessCounters;

  constructor(pids: () => readonly number[]) {
    this.#waited = new ProcessCounters(pids, waitedMs);
  }

  /** Returns the share of the time since the last call that the process waited which waited longest; 0 to 1. */
  async share(): Promise<number> {
    const { increases, elapsedMs } = await this.#waited.take();
    return Math.max(0, ...increases) / elapsedMs;
  }
}

async function waitedMs(pid: number): Promise<number> {
  return Number((await procText(pid, 'schedstat')).split(' ')[1] ?? 0) / 1e6;
}
