import type { Connections } from './connections.ts';
import type { Metrics } from './metrics.ts';

export type ConnectionCounts = Pick<
  Connections,
  'size' | 'limit' | 'incomplete' | 'upgraded' | 'mostOfOneAddress' | 'counts'
>;

/**
 * Registers the connections of an HTTP server, their limit, and what was closed at it. `read` returns undefined before
 * the server is created. The metrics of the internal port have `internal_` in their names.
 */
export function registerConnectionMetrics(
  metrics: Metrics,
  read: () => ConnectionCounts | undefined,
  port: 'public' | 'internal' = 'public',
): void {
  const prefix = `tailrace_${metrics.service}`;
  const [word, of] = port === 'internal' ? ['internal_', ' of the internal port'] : ['', ''];
  metrics.gauge(`${prefix}_${word}connections`, `Connections${of}.`, () => read()?.size ?? 0);
  metrics.gauge(
    `${prefix}_limit_${word}connections`,
    `Connections${of}: the limit.`,
    () => read()?.limit ?? Number.NaN,
  );
  metrics.gauge(
    `${prefix}_incomplete_${word}connections`,
    `Connections${of} that have not sent a whole request.`,
    () => read()?.incomplete ?? 0,
  );
  metrics.total(
    `${prefix}_evicted_${word}connections_total`,
    `Connections${of} closed to make room for new ones.`,
    () => read()?.counts.evicted ?? 0,
  );
  metrics.total(
    `${prefix}_refused_${word}connections_total`,
    `New connections${of} closed because all others were serving requests, or were as new.`,
    () => read()?.counts.refused ?? 0,
  );
  metrics.total(
    `${prefix}_unread_${word}responses_total`,
    `Connections${of} closed because their client did not read its answer.`,
    () => read()?.counts.unread ?? 0,
  );
  metrics.total(
    `${prefix}_unfinished_${word}requests_total`,
    `Connections${of} closed because their client did not send the rest of an answered request.`,
    () => read()?.counts.unfinished ?? 0,
  );
}
