import type { Counter } from '@tailrace/platform/measures';
import type { Metrics } from '@tailrace/platform/metrics';
import type { Family } from '@tailrace/platform/series';
import type { FanoutSettings } from '../config.ts';
import { type SessionCounts, sessionLabels } from './session-counts.ts';
import type { Sessions } from './sessions.ts';
import type { StreamServer } from './stream-server.ts';
import type { StreamSocket, StreamSockets } from './stream-socket.ts';

export interface SessionMetricsParts {
  readonly sessions: Sessions;
  readonly streams: StreamServer;
  readonly sockets: StreamSockets;
  readonly counts: SessionCounts;
  /** Monotonic ms. */
  readonly now: () => number;
  readonly limits: Pick<
    FanoutSettings,
    | 'connectionsMax'
    | 'subscriptionsMax'
    | 'viewsPerConnectionMax'
    | 'socketMarkBytes'
    | 'socketBytesMax'
    | 'repliesBytesMax'
    | 'lagMsMax'
  >;
}

/** Clients: how many there are, what they say and are told is wrong with it, how they go, and how well they read. */
export function registerSessionMetrics(metrics: Metrics, parts: SessionMetricsParts): void {
  const { sessions, streams, counts, limits } = parts;
  metrics.gauge('tailrace_fanout_connections', 'Clients connected.', () => sessions.size);
  metrics.gauge('tailrace_fanout_limit_connections', 'Clients this node takes.', () => limits.connectionsMax);
  metrics.total('tailrace_fanout_opened_connections_total', 'Clients that connected.', () => streams.counts.opened);
  metrics.total(
    'tailrace_fanout_refused_connections_total',
    'Handshakes refused, for whatever reason.',
    () => streams.counts.refused,
  );
  counts.closes = handles(
    metrics.counters('tailrace_fanout_closed_connections_total', 'Clients that went, by close code.', {
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
  counts.errors = handles(
    metrics.counters('tailrace_fanout_sent_errors_total', 'Errors that clients were told, by code.', {
      values: { code: sessionLabels.code },
    }),
    'code',
    sessionLabels.code,
  );
  metrics.gauge('tailrace_fanout_subscriptions', 'Subscriptions of all clients.', () =>
    sum(sessions.all(), ({ subscriptions }) => subscriptions),
  );
  metrics.gauge('tailrace_fanout_connection_subscriptions', 'Of the client that has most.', () =>
    most(sessions.all(), ({ subscriptions }) => subscriptions),
  );
  metrics.gauge('tailrace_fanout_limit_connection_subscriptions', 'Of one client.', () => limits.subscriptionsMax);
  metrics.gauge('tailrace_fanout_connection_views', 'Shaped views of the client that has most.', () =>
    most(sessions.all(), ({ views }) => views),
  );
  metrics.gauge('tailrace_fanout_limit_connection_views', 'Of one client.', () => limits.viewsPerConnectionMax);
  metrics.total(
    'tailrace_fanout_faults_total',
    'Times that a client could not be served because of a fault of this node; the log says more.',
    () => streams.counts.faults,
  );
  registerSocketMetrics(metrics, parts);
}

/** How well clients read. */
function registerSocketMetrics(metrics: Metrics, { sockets, limits, now }: SessionMetricsParts): void {
  const fullest = fullestOf(sockets, now);
  metrics.total(
    'tailrace_fanout_slow_connections_total',
    'Clients let go because they read too slowly.',
    () => sockets.counts.tooSlow,
  );
  metrics.gauge(
    'tailrace_fanout_lagging_connections',
    'Clients that are off the topics because they read too slowly.',
    () => sockets.counts.lagging,
  );
  metrics.gauge(
    'tailrace_fanout_client_lag_seconds',
    'How long the client has lagged that has done so longest.',
    () => fullest().lagMs / 1_000,
  );
  metrics.gauge(
    'tailrace_fanout_limit_client_lag_seconds',
    'How long a client may lag.',
    () => limits.lagMsMax / 1_000,
  );
  metrics.total(
    'tailrace_fanout_client_lag_seconds_total',
    'How long clients lagged that do not any more.',
    () => sockets.counts.lagMs / 1_000,
  );
  metrics.gauge('tailrace_fanout_socket_bytes', 'Bytes that wait in the fullest socket.', () => fullest().bytes);
  metrics.gauge(
    'tailrace_fanout_limit_socket_bytes',
    'Bytes waiting in a socket at which it is cut.',
    () => limits.socketBytesMax,
  );
  metrics.gauge(
    'tailrace_fanout_limit_socket_mark_bytes',
    'Bytes waiting in a socket at which its client lags.',
    () => limits.socketMarkBytes,
  );
  metrics.gauge(
    'tailrace_fanout_reply_bytes',
    'Replies that wait for the client for whom most do.',
    () => fullest().replyBytes,
  );
  metrics.gauge('tailrace_fanout_limit_reply_bytes', 'Of one client.', () => limits.repliesBytesMax);
  metrics.gauge(
    'tailrace_fanout_waiting_reply_bytes',
    'Replies to clients whose sockets take none, all together.',
    () => sockets.counts.replies.bytes,
  );
}

/** One look at the sockets, of which there are many thousand, is enough for a scrape. */
const lookMs = 100;

/** The most of each that any socket has. */
function fullestOf(sockets: Iterable<StreamSocket>, now: () => number): () => ReturnType<StreamSocket['waiting']> {
  let lookedMs = Number.NEGATIVE_INFINITY;
  const found = { bytes: 0, replyBytes: 0, lagMs: 0 };
  return () => {
    const nowMs = now();
    if (nowMs - lookedMs < lookMs) return found;
    lookedMs = nowMs;
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
