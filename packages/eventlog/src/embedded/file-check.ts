import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { TailraceError } from '@tailrace/protocol/error';

/** Offsets in a head page of the LMDB of lmdb-js 3.5.6 (`MDB_page`, `MDB_meta` in mdb.c), on a 64-bit machine. */
const magicAt = 24;
const pageSizeAt = 48;
const lastPageAt = 144;
const headBytes = 160;
const magic = 0xbeef_c0de;
const pageSizes: ReadonlySet<number> = new Set([4_096, 8_192, 16_384, 32_768, 65_536]);

/**
 * Rejects with `unavailable` if the file of an LMDB folder is truncated, or one of its two head pages is overwritten:
 * lmdb-js 3.5.6 crashes the process with such a file. A missing file is valid. Damage in other pages is not found.
 */
export async function assertFileIsWhole(folder: string): Promise<void> {
  const path = join(folder, 'data.mdb');
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw new TailraceError('unavailable', `${path} cannot be read: ${error.message}`, { cause: error });
  });
  if (file === undefined) return;
  try {
    const { size } = await file.stat();
    const head = Buffer.alloc(headBytes);
    // The page size is in the first head page, whose second has the same layout.
    await file.read(head, 0, headBytes, 0);
    const pageSize = head.readUInt32LE(pageSizeAt);
    if (head.readUInt32LE(magicAt) !== magic || !pageSizes.has(pageSize)) throw damaged(path, 'the first head page');
    const lastPage = head.readBigUInt64LE(lastPageAt);
    head.fill(0);
    await file.read(head, 0, headBytes, pageSize);
    if (head.readUInt32LE(magicAt) !== magic) throw damaged(path, 'the second head page');
    const other = head.readBigUInt64LE(lastPageAt);
    const bytes = ((lastPage > other ? lastPage : other) + 1n) * BigInt(pageSize);
    if (BigInt(size) < bytes) throw damaged(path, `${bytes} bytes`, `${size}`);
  } finally {
    await file.close();
  }
}

function damaged(path: string, expected: string, got = 'other bytes'): TailraceError {
  return new TailraceError('unavailable', `${path} is damaged: expected ${expected}, got ${got}`);
}
