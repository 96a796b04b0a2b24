import { statfsSync } from 'node:fs';
import { fullError } from './disk-error.ts';

/** A transaction rewrites each changed page, including half-filled pages and the paths to them. */
const growthFactor = 3;
const growthFixedBytes = 1_000_000;
/** Deleting writes few pages. It must be possible for the longest, since it frees space. */
const deletingBytes = 500_000;
/** Free space beyond the need of a transaction: this, or a twentieth of a small disk. */
const marginBytesMax = 64_000_000;

export interface Transaction {
  /** Approximate bytes of keys and values. */
  readonly bytes: number;
  /** Whether it only deletes. */
  readonly frees: boolean;
}

/**
 * Throws `storage_full` if the disk has no space for a transaction. Called before each.
 *
 * A write without space must not reach LMDB: lmdb-js 3.5.6 then prints 104 characters into a buffer of 100 (mdb.c,
 * mdb_page_flush, `last_error`), which corrupts the heap and crashes the process later. The data on disk is intact.
 *
 * The check costs some microseconds for each group of appends. On a full file system the file may have reusable pages,
 * as `reusableBytes` returns; then the margin is not needed.
 */
export function assertDiskSpace(path: string, { bytes, frees }: Transaction, reusableBytes: () => number): void {
  const { bavail, blocks, bsize } = statfsSync(path);
  const freeBytes = bavail * bsize;
  const neededBytes = frees ? deletingBytes : growthFactor * bytes + growthFixedBytes;
  const marginBytes = frees ? 0 : Math.min(marginBytesMax, (blocks * bsize) / 20);
  if (freeBytes >= neededBytes + marginBytes) return;
  if (freeBytes >= neededBytes && reusableBytes() >= 4 * neededBytes) return;
  throw fullError(path, freeBytes);
}
