import { access, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { createDiskQueue } from '@tailrace/eventlog/embedded';
import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { tailraceErrorFrom } from '@tailrace/protocol/error';
import type { OpenedDisk } from './outbox.ts';

/** Damaged stores that are kept for an analysis. */
const damagedMax = 2;

export interface StoreOptions {
  /** The folder; created if it is missing. For one process at a time. */
  readonly path: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Opens the store. One that cannot be read is put aside as `<path>.damaged-<time>`, and a new one is made: a gateway
 * must start. Rejects with `conflict` if another process uses the folder, `storage_full` on a full disk, and
 * `unavailable` if the folder is not usable.
 */
export async function openStore({ path, clock, logger }: StoreOptions): Promise<OpenedDisk> {
  const queue = createDiskQueue({ path, clock });
  try {
    await queue.open();
    return { disk: queue, isReplaced: false };
  } catch (thrown) {
    const error = tailraceErrorFrom(thrown);
    const isDamaged = error.code !== 'conflict' && error.code !== 'storage_full' && (await hasData(path));
    if (!isDamaged) throw error;
    const aside = `${path}.damaged-${clock.now()}`;
    await rename(path, aside);
    logger.error({ error, aside }, 'the store is damaged; it is put aside, and a new one is made');
  }
  await removeOldest(path);
  const renewed = createDiskQueue({ path, clock });
  await renewed.open();
  return { disk: renewed, isReplaced: true };
}

async function hasData(path: string): Promise<boolean> {
  try {
    await access(join(path, 'data.mdb'));
    return true;
  } catch {
    return false;
  }
}

async function removeOldest(path: string): Promise<void> {
  const folder = dirname(path);
  const prefix = `${basename(path)}.damaged-`;
  const damaged = (await readdir(folder)).filter((name) => name.startsWith(prefix)).sort();
  for (const name of damaged.slice(0, -damagedMax)) await rm(join(folder, name), { recursive: true });
}
