import type { Disk } from './stored-entries.ts';

/** What is kept of the numbers of reports over a restart. */
interface StoredSession {
  readonly stream: string;
  /** The first number that is not reserved. */
  readonly next: number;
  /** Whether all reports were on disk when the process stopped. */
  readonly isClean: boolean;
}

export interface Session {
  /** Ten characters of base 36: random, made once with the store. Part of the ID of each report. */
  readonly stream: string;
  /** The first number that was never used. */
  readonly first: number;
  /** Whether the process before was killed, with reports in memory or not. */
  readonly isAfterCrash: boolean;
}

/** 12 days of 1,000 reports a second; eight million starts. */
const numberBlock = 2 ** 30;

/**
 * Returns the stream of the store, and the next number. A large block of numbers is reserved on disk, so that none is
 * used twice after a crash, and none has to be reserved while the disk is full. `stream`: of a new store.
 */
export async function openSession(disk: Disk, stream: string): Promise<Session> {
  const stored = disk.meta('session') as StoredSession | undefined;
  const first = stored?.next ?? 1;
  const session: StoredSession = { stream: stored?.stream ?? stream, next: first + numberBlock, isClean: false };
  await disk.putMeta('session', session);
  return { stream: session.stream, first, isAfterCrash: stored?.isClean === false };
}

/** Stores that `next` is the first number that was not used. `isClean`: whether all reports are on disk. */
export function closeSession(disk: Disk, stream: string, next: number, isClean: boolean): Promise<void> {
  return disk.putMeta('session', { stream, next, isClean } satisfies StoredSession);
}

export function newStream(random: () => number): string {
  return Array.from({ length: 10 }, () => Math.floor(random() * 36).toString(36)).join('');
}
