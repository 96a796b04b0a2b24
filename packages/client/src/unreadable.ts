import { partitionsMax } from '@tailrace/protocol/partition';
import type { Skipped } from '@tailrace/protocol/skipped';

/** After an unreadable frame has cost a connection, further ones are discarded for this long, ms. */
const discardMs = 60_000;

/**
 * Returns the `Skipped` of a delivery that this client cannot read; none where its position is unreadable, too.
 * `device` is empty where it is unreadable. Servers send the same reason for ranges of the log that they cannot decode.
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
 * Decides whether to discard a frame that is unreadable as a whole. Its content is unknown, so the connection is closed
 * as lost: after a reconnect the server sends everything after the last position again, in different frames. Where that
 * does not help, because the error is in the server or its data, reconnects would never end: for a minute such frames
 * are discarded.
 */
export class UnreadableFrames {
  #lostAtMs = Number.NEGATIVE_INFINITY;

  /** Returns whether to discard a frame received at monotonic `nowMs`. If not, the connection must be closed. */
  mayDiscard(nowMs: number): boolean {
    if (nowMs - this.#lostAtMs < discardMs) return true;
    this.#lostAtMs = nowMs;
    return false;
  }
}
