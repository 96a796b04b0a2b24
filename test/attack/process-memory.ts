import { procText } from './process-counters.ts';

const sampleMs = 100;
const bytesPerMb = 1024 * 1024;

/** Resident memory of some processes together, MB, sampled every 100 ms. Linux only; elsewhere 0. */
export class ProcessMemory {
  peakMb = 0;
  readonly #pids: () => readonly number[];
  #timer: NodeJS.Timeout | undefined;

  constructor(pids: () => readonly number[]) {
    this.#pids = pids;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#sample(), sampleMs);
  }

  /** Resets the peak. Resolves with the current memory. */
  async reset(): Promise<number> {
    this.peakMb = 0;
    return await this.#sample();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #sample(): Promise<number> {
    const all = await Promise.all(this.#pids().map(residentMb));
    const sum = Math.round(all.reduce((total, mb) => total + mb, 0));
    this.peakMb = Math.max(this.peakMb, sum);
    return sum;
  }
}

async function residentMb(pid: number): Promise<number> {
  return (Number(/^VmRSS:\s+(\d+) kB/m.exec(await procText(pid, 'status'))?.[1] ?? 0) * 1024) / bytesPerMb;
}
