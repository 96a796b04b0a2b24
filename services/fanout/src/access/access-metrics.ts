import type { Metrics } from '@tailrace/platform/metrics';
import type { FanoutSettings } from '../config.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { Transport } from '../transport.ts';
import type { Access } from './access.ts';
import { type Handshakes, refusalReasons } from './handshakes.ts';
import type { Users } from './users.ts';

export interface AccessMetricsOptions {
  readonly access: Access;
  readonly handshakes: Handshakes;
  readonly sessions: Sessions;
  readonly transport: Pick<Transport, 'unfinishedBodies'>;
  readonly limits: FanoutSettings;
  /** Monotonic ms. */
  readonly now: () => number;
}

/** Registers the metrics of refused clients, of each limit and its use, and of operators' requests. */
export function registerAccessMetrics(metrics: Metrics, options: AccessMetricsOptions): void {
  const { access, handshakes, transport, sessions, limits, now } = options;
  registerHandshakes(metrics, handshakes, limits);
  registerUsers(metrics, access.users, limits);
  registerMessageRate(metrics, access, sessions, now);
  registerBodies(metrics, transport);
  registerOperators(metrics, access.actions);
}

function registerHandshakes(metrics: Metrics, handshakes: Handshakes, limits: FanoutSettings): void {
  const refused = metrics.counters('tailrace_fanout_refused_handshakes_total', 'Refused handshakes, by reason.', {
    values: { reason: refusalReasons },
  });
  for (const reason of refusalReasons) handshakes.counts[reason] = refused.with({ reason });
  metrics.gauge(
    'tailrace_fanout_addresses',
    'Addresses in the table of connections and handshake rates.',
    () => handshakes.addresses.size,
  );
  metrics.gauge('tailrace_fanout_address_connections', 'Connections of the address that has most.', () =>
    handshakes.addresses.mostConnections(),
  );
  metrics.gauge(
    'tailrace_fanout_limit_address_connections',
    'Maximum connections of one address.',
    () => limits.addressConnectionsMax,
  );
  metrics.gauge(
    'tailrace_fanout_recent_handshakes',
    'Handshakes that count against the rate of the node.',
    () => handshakes.recent,
  );
  metrics.gauge(
    'tailrace_fanout_limit_recent_handshakes',
    'Maximum burst of handshakes of the node; beyond it they are refused with 503.',
    () => handshakes.recentMax,
  );
  metrics.gauge(
    'tailrace_fanout_recent_address_handshakes',
    'Handshakes that count against the rate of an address, of the one that has most.',
    () => handshakes.recentOfOneAddress,
  );
  metrics.gauge(
    'tailrace_fanout_limit_recent_address_handshakes',
    'Maximum burst of handshakes of one address; beyond it they are refused with 429.',
    () => limits.addressConnectionsMax,
  );
}

function registerUsers(metrics: Metrics, users: Users, limits: FanoutSettings): void {
  metrics.gauge('tailrace_fanout_users', 'Token subjects with a connection.', () => users.size);
  metrics.total(
    'tailrace_fanout_refused_user_connections_total',
    'Connections refused because their user has the maximum number.',
    () => users.counts.refusedConnections,
  );
  metrics.gauge(
    'tailrace_fanout_user_connections',
    'Connections of the user that has most.',
    () => users.most().connections,
  );
  metrics.gauge(
    'tailrace_fanout_limit_user_connections',
    'Maximum connections of one user.',
    () => limits.userConnectionsMax,
  );
  metrics.total(
    'tailrace_fanout_refused_user_subscriptions_total',
    'Subscriptions refused because their user has the maximum number.',
    () => users.counts.refusedSubscriptions,
  );
  metrics.gauge(
    'tailrace_fanout_user_subscriptions',
    'Subscriptions of the user that has most.',
    () => users.most().subscriptions,
  );
  metrics.gauge(
    'tailrace_fanout_limit_user_subscriptions',
    'Maximum subscriptions of one user.',
    () => limits.userSubscriptionsMax,
  );
  metrics.total(
    'tailrace_fanout_refused_user_views_total',
    'Subscriptions refused because their user has the maximum number of views with options.',
    () => users.counts.refusedViews,
  );
  metrics.gauge(
    'tailrace_fanout_user_views',
    'Different views of subtrees with options, of the user that has most.',
    () => users.most().views,
  );
  metrics.gauge(
    'tailrace_fanout_limit_user_views',
    'Maximum views of subtrees with options of one user.',
    () => limits.userViewsMax,
  );
}

function registerMessageRate(metrics: Metrics, access: Access, sessions: Sessions, now: () => number): void {
  metrics.total(
    'tailrace_fanout_refused_rate_clients_total',
    'Connections closed with 4429 because the client sent too many messages.',
    () => access.counts.overRate,
  );
  metrics.gauge(
    'tailrace_fanout_recent_connection_messages',
    'Messages that count against the rate of a client, of the one that has most.',
    () => {
      const nowMs = now();
      let most = 0;
      for (const session of sessions.all()) most = Math.max(most, session.spent(nowMs));
      return most;
    },
  );
  metrics.gauge(
    'tailrace_fanout_limit_recent_connection_messages',
    'Maximum burst of messages of one client; beyond it the connection is closed with 4429.',
    () => access.session.messageRate.burst,
  );
}

function registerBodies(metrics: Metrics, transport: Pick<Transport, 'unfinishedBodies'>): void {
  metrics.gauge(
    'tailrace_fanout_unfinished_body_bytes',
    'Bytes of request bodies that are not complete.',
    () => transport.unfinishedBodies().bytes,
  );
  metrics.gauge(
    'tailrace_fanout_limit_unfinished_body_bytes',
    'Maximum bytes of incomplete request bodies; beyond it requests are refused with 503.',
    () => transport.unfinishedBodies().bytesMax,
  );
}

function registerOperators(metrics: Metrics, actions: Access['actions']): void {
  metrics.total(
    'tailrace_fanout_revoked_clients_total',
    'Connections closed because their token was revoked.',
    () => actions.counts.revokedSessions,
  );
  metrics.total('tailrace_fanout_notices_total', 'Notices of operators sent to clients.', () => actions.counts.notices);
}
