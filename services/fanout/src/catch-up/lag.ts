import { closeCodes } from '@tailrace/protocol/close';
import { Positions, tokenFromPositions } from '@tailrace/protocol/position';

/** RFC 6455, section 5.5: 125 bytes, two of them the code. */
const reasonBytesMax = 123;
const prefix = 'too slow; after=';

/**
 * Returns why a slow client is disconnected, with the token from which all its subscriptions miss nothing, where that
 * fits: of a device it does, of a subtree up to some ten partitions. Else the plain reason: a client knows its position
 * by what it received.
 */
export function tooSlowReason(positions: readonly Positions[]): string {
  const [first] = positions;
  if (first === undefined) return closeCodes.tooSlow.reason;
  const lowest = new Map<number, number>();
  for (const each of positions) {
    for (const [partition, last] of each.entries()) {
      lowest.set(partition, Math.min(last, lowest.get(partition) ?? Number.POSITIVE_INFINITY));
    }
  }
  const token = new Positions(first.epoch);
  for (const [partition, last] of lowest) token.advance(partition, last);
  const reason = `${prefix}${tokenFromPositions(token)}`;
  return reason.length <= reasonBytesMax ? reason : closeCodes.tooSlow.reason;
}
