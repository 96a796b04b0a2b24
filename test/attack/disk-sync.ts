import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ProcessGrowth, procText } from './process-growth.ts';
import { type Measured, RepeatedMeasurement } from './repeated-measurement.ts';

const bytesPerMb = 1024 * 1024;
const block = Buffer.alloc(4096, 1);
const pauseMs = 50;

/** The disk under the target's data, since the last call. */
export interface DiskFigures {
  /** How long the slowest write of 4 KB took until it was on the disk, by a process that does nothing else, ms. */
  readonly slowestSyncMs: number;
  /** Written by the target, MB a second. Linux only; elsewhere 0. */
  readonly writtenMbPerS: number;
}

/**
 * Tells a disk that stands still from a server that does too much: the embedded log acknowledges a report when it is on
 * the disk, so each stop of the disk delays honest reports, whatever the server does.
 */
export class DiskSync {
  readonly #file: string;
  readonly #written: ProcessGrowth;
  readonly #syncs: RepeatedMeasurement;

  /** `folder`: on the disk of the target's data. */
  constructor(folder: string, pids: () => readonly number[]) {
    this.#file = join(folder, 'disk-sync');
    this.#written = new ProcessGrowth(pids, writtenBytes);
    this.#syncs = new RepeatedMeasurement(() => this.#sync(), pauseMs);
  }

  start(): void {
    this.#syncs.start();
  }

  async stop(): Promise<void> {
    await this.#syncs.stop();
    await rm(this.#file, { force: true });
  }

  async taken(): Promise<DiskFigures> {
    const { grown, elapsedMs } = await this.#written.taken();
    const writtenMb = grown.reduce((sum, bytes) => sum + bytes, 0) / bytesPerMb;
    const slowestSyncMs = Math.round(Math.max(0, ...this.#syncs.taken().times));
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
