import type { EventLog } from '@tailrace/eventlog/event-log';
import { LogBlocks } from '../src/catch-up/log-blocks.ts';
import type { LogRangeContext } from '../src/catch-up/log-range.ts';
import { IdMemory } from '../src/ownership/recent-ids.ts';

export const idLimits = { idWindowMs: 120_000, idsMax: 10_000 } as const;

/** Creates the options to read ranges of a test's log. Without `positionsAt` the log is read from its first record. */
export function logRangesOf(
  eventLog: Pick<EventLog, 'read' | 'bounds'> & Partial<Pick<EventLog, 'positionsAt'>>,
  options: { readonly topic?: string; readonly ids?: IdMemory } = {},
): LogRangeContext & { readonly blocks: LogBlocks } {
  const { topic = 't', ids = new IdMemory(idLimits, () => Date.now()) } = options;
  const firsts = async () => (await eventLog.bounds(topic)).map(({ first }) => first);
  const positionsAt: EventLog['positionsAt'] = (...asked) => eventLog.positionsAt?.(...asked) ?? firsts();
  return {
    blocks: new LogBlocks(eventLog, topic, 8),
    eventLog: { bounds: (name, partitions) => eventLog.bounds(name, partitions), positionsAt },
    topic,
    ids,
    // No other node knows the repeated positions.
    repeatsOf: async () => undefined,
    counts: { lookbacks: 0, shortLookbacks: 0 },
  };
}
