import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ProcessCounters, procText } from './process-counters.ts';
import { type Measured, RepeatedMeasurement } from './repeated-measurement.ts';

const bytesPerMb = 1024 * 1024;
const block = Buffer.alloc(4096, 1);
const pauseMs = 50;

/** Measurements of the disk of the target's data since the last `take`. */
export interface DiskFigures {
  /** Duration of the slowest write of 4 KB with fdatasync, by an idle process, ms. */
  readonly slowestSyncMs: number;
  /** Written by the target, MB per second. Linux only; elsewhere 0. */
  readonly writtenMbPerS: number;
}

/**
 * Distinguishes a stalled disk from an overloaded server: the embedded log acknowledges a report when it is on the
 * disk, so that each stall of the disk delays honest reports.
 */
export class DiskSync {
  readonly #file: string;
  readonly #written: ProcessCounters;
  readonly #syncs: RepeatedMeasurement;

  /** `folder` must be on the disk of the target's data. */
  constructor(folder: string, pids: () => readonly number[]) {
    this.#file = join(folder, 'disk-sync');
    this.#written = new ProcessCounters(pids, writtenBytes);
    this.#syncs = new RepeatedMeasurement(() => this.#sync(), pauseMs);
  }

  start(): void {
    this.#syncs.start();
  }

  async stop(): Promise<void> {
    await this.#syncs.stop();
    await rm(this.#file, { force: true });
  }

  /** Returns the measurements since the last call. */
  async take(): Promise<DiskFigures> {
    const { increases, elapsedMs } = await this.#written.take();
    const writtenMb = increases.reduce((sum, bytes) => sum + bytes, 0) / bytesPerMb;
    const slowestSyncMs = Math.round(Math.max(0, ...this.#syncs.take().times));
    return { slowestSyncMs, writtenMbPerS: (1_000 * writtenMb) / elapsedMs };
  }

  async #sync(): Promise<Measured> {
    const startedMs = performance.now();
    try {
      const file = await open(this.#file, 'w');
      try {
        await file.write(block);
        await file.datasync();
      } finally {
        await file.close();
      }
    } catch (error) {
      return { failure: (error as Error).message };
    }
    return { ms: performance.now() - startedMs };
  }
}

async function writtenBytes(pid: number): Promise<number> {
  return Number(/^write_bytes: (\d+)/m.exec(await procText(pid, 'io'))?.[1] ?? 0);
}
