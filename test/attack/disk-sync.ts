import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { RepeatedMeasurement } from './repeated-measurement.ts';

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
  readonly #pids: () => readonly number[];
  readonly #syncs: RepeatedMeasurement;
  #written = new Map<number, number>();
  #sinceMs = performance.now();

  /** `folder` must be on the disk of the target's data. */
  constructor(folder: string, pids: () => readonly number[]) {
    this.#file = join(folder, 'disk-sync');
    this.#pids = pids;
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
    const written = new Map<number, number>();
    for (const pid of this.#pids()) written.set(pid, await writtenBytes(pid));
    const bytes = Array.from(written, ([pid, now]) => now - (this.#written.get(pid) ?? now));
    const nowMs = performance.now();
    const writtenMb = bytes.reduce((sum, each) => sum + each, 0) / bytesPerMb;
    const writtenMbPerS = (1_000 * writtenMb) / Math.max(1, nowMs - this.#sinceMs);
    this.#written = written;
    this.#sinceMs = nowMs;
    return { slowestSyncMs: Math.round(Math.max(0, ...this.#syncs.take().times)), writtenMbPerS };
  }

  async #sync() {
    const startedMs = performance.now();
    const file = await open(this.#file, 'w');
    try {
      await file.write(block);
      await file.datasync();
    } finally {
      await file.close();
    }
    return { ms: performance.now() - startedMs };
  }
}

async function writtenBytes(pid: number): Promise<number> {
  try {
    return Number(/^write_bytes: (\d+)/m.exec(await readFile(`/proc/${pid}/io`, 'latin1'))?.[1] ?? 0);
  } catch {
    // Another system, or it has exited.
    return 0;
  }
}
