import type { Metrics } from '@tailrace/platform/metrics';
import type { FanoutSettings } from '../config.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { Transport } from '../transport.ts';
import type { Access } from './access.ts';
import { type Handshakes, refusalReasons } from './handshakes.ts';

export interface AccessMetricsParts {
  readonly access: Access;
  readonly handshakes: Handshakes;
  readonly sessions: Sessions;
  readonly transport: Pick<Transport, 'unfinishedBodies'>;
  readonly limits: FanoutSettings;
  /** Monotonic ms. */
  readonly now: () => number;
}

/** Who was not let in, how near the limits are, and what operators ordered. */
export function registerAccessMetrics(metrics: Metrics, parts: AccessMetricsParts): void {
  const { access, handshakes, transport, sessions, limits, now } = parts;
  const { users, actions } = access;

  const refused = metrics.counters('tailrace_fanout_refused_handshakes_total', 'Handshakes refused, by why.', {
    values: { reason: refusalReasons },
  });
  for (const reason of refusalReasons) handshakes.counts[reason] = refused.with({ reason });
  metrics.total(
    'tailrace_fanout_refused_rate_clients_total',
    'Clients let go with 4429: too many messages.',
    () => access.counts.overRate,
  );
  metrics.total(
    'tailrace_fanout_refused_user_connections_total',
    'Connections refused because their user has as many as he may.',
    () => users.counts.refusedConnections,
  );
  metrics.total(
    'tailrace_fanout_refused_user_subscriptions_total',
    'Subscriptions refused because their user has as many as he may.',
    () => users.counts.refusedSubscriptions,
  );

  metrics.gauge('tailrace_fanout_users', 'Token subjects with a connection.', () => users.size);
  metrics.gauge('tailrace_fanout_addresses', 'Addresses remembered.', () => handshakes.addresses.size);
  metrics.gauge('tailrace_fanout_user_connections', 'Of the user who has most.', () => users.most().connections);
  metrics.gauge('tailrace_fanout_limit_user_connections', 'Of one user.', () => limits.userConnectionsMax);
  metrics.gauge('tailrace_fanout_user_subscriptions', 'Of the user who has most.', () => users.most().subscriptions);
  metrics.gauge('tailrace_fanout_limit_user_subscriptions', 'Of one user.', () => limits.userSubscriptionsMax);
  metrics.total(
    'tailrace_fanout_refused_user_views_total',
    'Subscriptions refused because their user has as many shaped views as it may.',
    () => users.counts.refusedViews,
  );
  metrics.gauge(
    'tailrace_fanout_user_views',
    'Different shaped views of subtrees of the user that has most.',
    () => users.most().views,
  );
  metrics.gauge('tailrace_fanout_limit_user_views', 'Of one user.', () => limits.userViewsMax);
  metrics.gauge('tailrace_fanout_address_connections', 'Of the address that has most.', () =>
    handshakes.addresses.mostConnections(),
  );
  metrics.gauge('tailrace_fanout_limit_address_connections', 'Of one address.', () => limits.addressConnectionsMax);
  metrics.gauge(
    'tailrace_fanout_recent_handshakes',
    'Handshakes that count against the rate of the node at this moment.',
    () => handshakes.recent,
  );
  metrics.gauge(
    'tailrace_fanout_limit_recent_handshakes',
    'Those at which others are put off: what may come at once.',
    () => handshakes.recentMax,
  );
  metrics.gauge(
    'tailrace_fanout_recent_address_handshakes',
    'Handshakes that count against the rate of an address, of the one that has most.',
    () => handshakes.recentOfOneAddress,
  );
  metrics.gauge(
    'tailrace_fanout_limit_recent_address_handshakes',
    'Those of one address at which it is put off.',
    () => limits.addressConnectionsMax,
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
    'Those of one client at which it is let go.',
    () => access.session.messageRate.burst,
  );

  metrics.gauge(
    'tailrace_fanout_unfinished_body_bytes',
    'Bodies of requests that are still coming.',
    () => transport.unfinishedBodies().bytes,
  );
  metrics.gauge(
    'tailrace_fanout_limit_unfinished_body_bytes',
    'Bytes at which requests are refused with 503.',
    () => transport.unfinishedBodies().bytesMax,
  );

  metrics.total(
    'tailrace_fanout_revoked_clients_total',
    'Clients let go because their token was revoked.',
    () => actions.counts.revokedSessions,
  );
  metrics.total(
    'tailrace_fanout_notices_total',
    'Notices of operators shown to clients.',
    () => actions.counts.notices,
  );
}
