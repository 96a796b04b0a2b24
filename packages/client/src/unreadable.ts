import { partitionsMax } from '@tailrace/protocol/partition';
import type { Skipped } from '@tailrace/protocol/skipped';

/** The reason of what this client left out because it cannot read it. Never sent by a server. */
export const unreadableReason = 'unreadable';

/** After a connection was lost over a frame that cannot be read, further ones are passed over for this long, ms. */
const passOverMs = 60_000;

/** What is left out with a delivery that cannot be read, as far as that says where it is. Of a device whose name cannot be read: of any. */
export function skippedFrom(delivery: unknown): readonly Skipped[] {
  const { device, partition, seq } = Object(delivery) as { device?: unknown; partition?: unknown; seq?: unknown };
  if (!isBelow(partition, partitionsMax) || !isBelow(seq, Number.MAX_SAFE_INTEGER)) return [];
  const reason = unreadableReason;
  return [{ partition, device: typeof device === 'string' ? device : '', from: seq, to: seq, count: 1, reason }];
}

function isBelow(value: unknown, end: number): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < end;
}

/**
 * What becomes of a frame that cannot be read as a whole. What it held is not known, so the connection is lost on purpose: after a reconnect the server sends
 * what follows the last position once more, in frames of another kind. Where that does not help, because it is the server or what it read that is at fault,
 * coming back again would never end: for a minute such frames are passed over.
 */
export class UnreadableFrames {
  #lostAtMs = Number.NEGATIVE_INFINITY;

  /** Whether to pass over one that came at monotonic `nowMs`. If not, the connection is to be lost. */
  passOver(nowMs: number): boolean {
    if (nowMs - this.#lostAtMs < passOverMs) return true;
    this.#lostAtMs = nowMs;
    return false;
  }
}
