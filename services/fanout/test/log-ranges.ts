import type { EventLog } from '@tailrace/eventlog/eventlog';
import type { LogRangeParts } from '../src/catchup/log-range.ts';
import { LogBlocks } from '../src/catchup/logblocks.ts';
import { IdMemory } from '../src/ownership/id-memory.ts';

export const idLimits = { idWindowMs: 120_000, idsMax: 10_000 } as const;

/**
 * How ranges of a log that a test makes are read back. A log without `positionsAt` is looked back over from its
 * beginning.
 */
export function logRangesOf(
  log: Pick<EventLog, 'read' | 'bounds'> & Partial<Pick<EventLog, 'positionsAt'>>,
  options: { readonly topic?: string; readonly ids?: IdMemory } = {},
): LogRangeParts & { readonly blocks: LogBlocks } {
  const { topic = 't', ids = new IdMemory(idLimits, () => Date.now()) } = options;
  const firsts = async () => (await log.bounds(topic)).map(({ first }) => first);
  const positionsAt: EventLog['positionsAt'] = (...asked) => log.positionsAt?.(...asked) ?? firsts();
  return {
    blocks: new LogBlocks(log, topic, 8),
    log: { bounds: (name, partitions) => log.bounds(name, partitions), positionsAt },
    topic,
    ids,
    counts: { lookBacks: 0, shortLookBacks: 0 },
  };
}
