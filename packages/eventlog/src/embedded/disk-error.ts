import { statfs } from 'node:fs/promises';
import { TailraceError } from '@tailrace/protocol/error';

/** ENOSPC, EFBIG and EDQUOT of Linux and macOS, which differ in the last. */
const fullCodes: ReadonlySet<unknown> = new Set(['ENOSPC', 'EFBIG', 'EDQUOT', 28, 27, 122, 69]);
/** EIO, which LMDB reports after a partial write of a page, as on the write that fills a disk. */
const ioErrorCode = 5;
/** With less free space an I/O error counts as a full disk. */
const nearlyFullBytes = 16_000_000;

/** Returns the error of a failed write or open, in one line with the folder and advice. `action`: such as "opening". */
export async function diskErrorFrom(thrown: unknown, path: string, action: string): Promise<TailraceError> {
  const cause = await causeOf(thrown);
  const code = (cause as { code?: unknown }).code;
  const freeBytes = await freeBytesOf(path);
  if (fullCodes.has(code) || (code === ioErrorCode && freeBytes !== undefined && freeBytes < nearlyFullBytes)) {
    return fullError(path, freeBytes, cause);
  }
  const why = cause instanceof Error ? cause.message : String(cause);
  const check = 'check that the folder exists, is writable and on a healthy disk';
  return new TailraceError('unavailable', `${action} the log in ${path} failed: ${why}; ${check}`, { cause });
}

export function fullError(path: string, freeBytes: number | undefined, cause?: unknown): TailraceError {
  const left = freeBytes === undefined ? '' : ` (${freeBytes} bytes left)`;
  const fix = 'free space on it, or keep less in it; then writing continues';
  return new TailraceError('storage_full', `the disk of ${path} is full${left}: ${fix}`, { cause });
}

/** LMDB rejects a write with an error whose `commitError` is a promise that rejects with the reason, possibly later. */
async function causeOf(thrown: unknown): Promise<unknown> {
  const { commitError } = (thrown ?? {}) as { commitError?: PromiseLike<unknown> };
  if (commitError === undefined) return thrown;
  try {
    await commitError;
    return thrown;
  } catch (reason) {
    return reason;
  }
}

async function freeBytesOf(path: string): Promise<number | undefined> {
  try {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}
