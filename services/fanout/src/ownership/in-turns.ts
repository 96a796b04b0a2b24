import type { LogRecord } from '@tailrace/eventlog/eventlog';

/** Records worked through in one turn of the event loop: about a millisecond. */
const recordsPerTurn = 250;

/**
 * Batches a little at a time, with a turn of the event loop between: what is read back is much at once, and clients
 * wait for what comes now.
 */
export async function* inTurns(
  batches: AsyncIterable<readonly LogRecord[]>,
  turn: () => Promise<void>,
): AsyncIterable<readonly LogRecord[]> {
  let isFirst = true;
  for await (const batch of batches) {
    for (let from = 0; from < batch.length; from += recordsPerTurn) {
      if (!isFirst) await turn();
      isFirst = false;
      yield from === 0 && batch.length <= recordsPerTurn ? batch : batch.slice(from, from + recordsPerTurn);
    }
  }
}
