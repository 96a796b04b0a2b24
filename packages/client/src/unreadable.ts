import { partitionsMax } from '@tailrace/protocol/partition';
import type { Skipped } from '@tailrace/protocol/skipped';

/** After a connection was lost over a frame that cannot be read, further ones are discarded for this long, ms. */
const discardMs = 60_000;

/**
 * Returns what is left out with a delivery that this client cannot read, as far as that says where it is. `device` is
 * empty where its name cannot be read. Servers send the same reason for ranges of the log that they cannot read.
 */
export function skippedFrom(delivery: unknown): readonly Skipped[] {
  const { device, partition, seq } = Object(delivery) as { device?: unknown; partition?: unknown; seq?: unknown };
  if (!isBelow(partition, partitionsMax) || !isBelow(seq, Number.MAX_SAFE_INTEGER)) return [];
  const name = typeof device === 'string' ? device : '';
  return [{ partition, device: name, from: seq, to: seq, count: 1, reason: 'unreadable' }];
}

function isBelow(value: unknown, end: number): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < end;
}

/**
 * Decides what becomes of a frame that cannot be read as a whole. What it held is not known, so the connection is
 * lost on purpose: after a reconnect the server sends what follows the last position once more, in frames of another
 * kind. Where that does not help, because the error is in the server or in what it read, reconnects would never end:
 * for a minute such frames are discarded.
 */
export class UnreadableFrames {
  #lostAtMs = Number.NEGATIVE_INFINITY;

  /** Returns whether to discard one that came at monotonic `nowMs`. If not, the connection is to be lost. */
  mayDiscard(nowMs: number): boolean {
    if (nowMs - this.#lostAtMs < discardMs) return true;
    this.#lostAtMs = nowMs;
    return false;
  }
}
