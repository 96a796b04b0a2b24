import type { Counter } from '@tailrace/platform/measures';
import type { Metrics } from '@tailrace/platform/metrics';
import type { Family } from '@tailrace/platform/series';
import type { FanoutSettings } from '../config.ts';
import type { MessageScheduler } from './message-scheduler.ts';
import { type SessionCounts, sessionLabels } from './session-counts.ts';
import type { Sessions } from './sessions.ts';
import type { StreamServer } from './stream-server.ts';
import type { StreamSocket, StreamSockets } from './stream-socket.ts';

export interface SessionMetricsOptions {
  readonly sessions: Sessions;
  readonly streams: StreamServer;
  readonly messages: MessageScheduler;
  readonly sockets: StreamSockets;
  readonly counts: SessionCounts;
  /** Monotonic ms. */
  readonly now: () => number;
  readonly limits: Pick<
    FanoutSettings,
    | 'connectionsMax'
    | 'subscriptionsMax'
    | 'viewsPerConnectionMax'
    | 'socketHighWaterBytes'
    | 'socketBytesMax'
    | 'repliesBytesMax'
    | 'lagMsMax'
  >;
}

/** Registers the metrics of clients: connections, messages, errors, close codes, and how fast clients read. */
export function registerSessionMetrics(metrics: Metrics, options: SessionMetricsOptions): void {
  const { sessions, streams, messages, counts, limits } = options;
  metrics.gauge('tailrace_fanout_connections', 'Clients connected.', () => sessions.size);
  metrics.gauge('tailrace_fanout_limit_connections', 'Maximum of clients connected.', () => limits.connectionsMax);
  metrics.total('tailrace_fanout_opened_connections_total', 'Clients that connected.', () => streams.counts.opened);
  metrics.total(
    'tailrace_fanout_refused_connections_total',
    'Handshakes refused, for any reason.',
    () => streams.counts.refused,
  );
  counts.closes = handles(
    metrics.counters('tailrace_fanout_closed_connections_total', 'Connections closed, by close code.', {
      values: { code: sessionLabels.close },
    }),
    'code',
    sessionLabels.close,
  );
  counts.messages = handles(
    metrics.counters('tailrace_fanout_received_messages_total', 'Messages from clients, by kind.', {
      values: { kind: sessionLabels.kind },
    }),
    'kind',
    sessionLabels.kind,
  );
  metrics.total(
    'tailrace_fanout_waited_messages_total',
    'Messages from clients that waited for a later turn of the event loop.',
    () => messages.counts.waited,
  );
  metrics.gauge(
    'tailrace_fanout_waiting_message_bytes',
    'Messages from clients that wait for a later turn of the event loop, bytes.',
    () => messages.waitingBytes,
  );
  metrics.gauge(
    'tailrace_fanout_limit_waiting_message_bytes',
    'Maximum of them, bytes; beyond it each message is handled at once.',
    () => messages.waitingBytesMax,
  );
  counts.errors = handles(
    metrics.counters('tailrace_fanout_sent_errors_total', 'Errors sent to clients, by code.', {
      values: { code: sessionLabels.code },
    }),
    'code',
    sessionLabels.code,
  );
  metrics.gauge('tailrace_fanout_subscriptions', 'Subscriptions of all clients.', () =>
    sum(sessions.all(), ({ subscriptions }) => subscriptions),
  );
  metrics.gauge('tailrace_fanout_connection_subscriptions', 'Subscriptions of the client that has most.', () =>
    most(sessions.all(), ({ subscriptions }) => subscriptions),
  );
  metrics.gauge(
    'tailrace_fanout_limit_connection_subscriptions',
    'Maximum of subscriptions of one client.',
    () => limits.subscriptionsMax,
  );
  metrics.gauge('tailrace_fanout_connection_views', 'Views with options of the client that has most.', () =>
    most(sessions.all(), ({ views }) => views),
  );
  metrics.gauge(
    'tailrace_fanout_limit_connection_views',
    'Maximum of views with options of one client.',
    () => limits.viewsPerConnectionMax,
  );
  metrics.total(
    'tailrace_fanout_internal_errors_total',
    'Times that a client could not be served because of an internal error; the log has the error.',
    () => streams.counts.errors,
  );
  registerSocketMetrics(metrics, options);
}

/** Registers the metrics of how fast clients read. */
function registerSocketMetrics(metrics: Metrics, { sockets, limits, now }: SessionMetricsOptions): void {
  const fullest = fullestOf(sockets, now);
  metrics.total(
    'tailrace_fanout_slow_connections_total',
    'Clients disconnected because they read too slowly.',
    () => sockets.counts.tooSlow,
  );
  metrics.gauge(
    'tailrace_fanout_lagging_connections',
    'Clients that are off their topics because they read too slowly.',
    () => sockets.counts.lagging,
  );
  metrics.gauge(
    'tailrace_fanout_client_lag_seconds',
    'Lag of the client that has lagged longest.',
    () => fullest().lagMs / 1_000,
  );
  metrics.gauge(
    'tailrace_fanout_limit_client_lag_seconds',
    'Lag at which a client is disconnected.',
    () => limits.lagMsMax / 1_000,
  );
  metrics.total(
    'tailrace_fanout_client_lag_seconds_total',
    'Lag of all clients that have caught up, summed.',
    () => sockets.counts.lagMs / 1_000,
  );
  metrics.gauge('tailrace_fanout_socket_bytes', 'Bytes waiting in the fullest socket.', () => fullest().bytes);
  metrics.gauge(
    'tailrace_fanout_limit_socket_bytes',
    'Bytes waiting in a socket at which it is terminated.',
    () => limits.socketBytesMax,
  );
  metrics.gauge(
    'tailrace_fanout_limit_socket_high_water_bytes',
    'Bytes waiting in a socket at which its client lags.',
    () => limits.socketHighWaterBytes,
  );
  metrics.gauge(
    'tailrace_fanout_reply_bytes',
    'Queued replies of the client that has most, bytes.',
    () => fullest().replyBytes,
  );
  metrics.gauge(
    'tailrace_fanout_limit_reply_bytes',
    'Queued replies of a client at which it is disconnected, bytes.',
    () => limits.repliesBytesMax,
  );
  metrics.gauge(
    'tailrace_fanout_waiting_reply_bytes',
    'Queued replies of all clients, bytes.',
    () => sockets.counts.replies.bytes,
  );
}

/** One scan of the sockets, of which there are many thousand, is enough for a scrape. */
const pollMs = 100;

/** Returns a function that returns the maximum of each value over all sockets. */
function fullestOf(sockets: Iterable<StreamSocket>, now: () => number): () => ReturnType<StreamSocket['waiting']> {
  let polledMs = Number.NEGATIVE_INFINITY;
  const found = { bytes: 0, replyBytes: 0, lagMs: 0 };
  return () => {
    const nowMs = now();
    if (nowMs - polledMs < pollMs) return found;
    polledMs = nowMs;
    Object.assign(found, { bytes: 0, replyBytes: 0, lagMs: 0 });
    for (const socket of sockets) {
      const { bytes, replyBytes, lagMs } = socket.waiting(nowMs);
      found.bytes = Math.max(found.bytes, bytes);
      found.replyBytes = Math.max(found.replyBytes, replyBytes);
      found.lagMs = Math.max(found.lagMs, lagMs);
    }
    return found;
  };
}

function handles<L extends string, V extends string>(
  family: Family<Counter, L>,
  label: L,
  values: readonly V[],
): Record<V, Counter> {
  const entries = values.map((value) => [value, family.with({ [label]: value } as unknown as Record<L, string>)]);
  return Object.fromEntries(entries) as Record<V, Counter>;
}

function most<T>(all: Iterable<T>, amount: (one: T) => number): number {
  let found = 0;
  for (const one of all) found = Math.max(found, amount(one));
  return found;
}

function sum<T>(all: Iterable<T>, amount: (one: T) => number): number {
  let total = 0;
  for (const one of all) total += amount(one);
  return total;
}
