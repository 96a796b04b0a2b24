import { statfsSync } from 'node:fs';
import { fullError } from './disk-error.ts';

/** A transaction writes each changed page again, half-filled pages and the paths to them included. */
const growthFactor = 3;
const growthFixedBytes = 1_000_000;
/** Deleting writes few pages; it must be possible for longest, as it is what makes room. */
const deletingBytes = 500_000;
/** Kept free beyond what a transaction may need: this, or a twentieth of a small disk. */
const marginBytesMax = 64_000_000;

export interface Transaction {
  /** Of keys and values, roughly. */
  readonly bytes: number;
  /** It only deletes. */
  readonly frees: boolean;
}

/**
 * Asks before every transaction whether the disk has room for it, and throws `storage_full` where it has not.
 *
 * A write that fails for want of space must not reach LMDB: lmdb-js 3.5.6 then prints 104 characters into a buffer of
 * 100 (mdb.c, mdb_page_flush, `last_error`), and the process dies of a broken heap sooner or later; what is on disk is
 * not harmed.
 *
 * The question costs some microseconds for each group of appends. A full file system may still have room inside the
 * file: `reusableBytes` returns how much; then only what the transaction itself might need has to be free.
 */
export function assertRoom(path: string, { bytes, frees }: Transaction, reusableBytes: () => number): void {
  const { bavail, blocks, bsize } = statfsSync(path);
  const freeBytes = bavail * bsize;
  const neededBytes = frees ? deletingBytes : growthFactor * bytes + growthFixedBytes;
  const marginBytes = frees ? 0 : Math.min(marginBytesMax, (blocks * bsize) / 20);
  if (freeBytes >= neededBytes + marginBytes) return;
  if (freeBytes >= neededBytes && reusableBytes() >= 4 * neededBytes) return;
  throw fullError(path, freeBytes);
}
