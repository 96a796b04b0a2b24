import type { Metrics } from '@tailrace/platform/metrics';
import { type AccessMetricsParts, registerAccessMetrics } from './access/access-metrics.ts';
import { registerCatchUpMetrics } from './catch-up/catch-up-metrics.ts';
import type { History } from './catch-up/history.ts';
import { registerWorkMetrics } from './catch-up/work-metrics.ts';
import type { WorkScheduler } from './catch-up/work-scheduler.ts';
import type { Channels } from './channels/channels.ts';
import type { Hub } from './channels/hub.ts';
import type { FanoutSettings } from './config.ts';
import type { Ownership } from './ownership/ownership.ts';
import { registerOwnershipMetrics } from './ownership/ownership-metrics.ts';
import type { Migration } from './placement/migration.ts';
import type { RingPlacement } from './placement/placement.ts';
import { registerPlacementMetrics } from './placement/placement-metrics.ts';
import { registerFreshnessMetrics } from './presence/freshness-metrics.ts';
import { registerRelayMetrics } from './relay/relay-metrics.ts';
import type { SessionCounts } from './sessions/session-counts.ts';
import { registerSessionMetrics } from './sessions/session-metrics.ts';
import type { Sessions } from './sessions/sessions.ts';
import type { StreamServer } from './sessions/stream-server.ts';
import type { StreamSockets } from './sessions/stream-socket.ts';
import type { Views } from './views/view.ts';
import { registerViewMetrics } from './views/view-metrics.ts';

/**
 * Registers what a fanout node counts, a file a room. Everything is read out when it is asked for: the hot path only
 * adds to plain numbers. Each limit is a gauge with `limit_` before the name of the gauge, or histogram, that says how
 * near it is.
 */
export function registerMetrics(
  metrics: Metrics,
  parts: Omit<AccessMetricsParts, 'handshakes' | 'sessions' | 'limits'> & {
    ownership: Ownership;
    sessions: Sessions;
    sessionCounts: SessionCounts;
    channels: Channels;
    views: Views;
    streams: StreamServer;
    sockets: StreamSockets;
    hub: Hub;
    history: History;
    work: WorkScheduler;
    placement: RingPlacement;
    migration: Migration;
    limits: FanoutSettings;
  },
): void {
  const { ownership, streams, sockets, sessions, sessionCounts, hub, history, limits, now } = parts;
  registerSessionMetrics(metrics, { sessions, streams, sockets, counts: sessionCounts, limits, now });
  registerAccessMetrics(metrics, { ...parts, handshakes: streams.handshakes });
  registerOwnershipMetrics(metrics, { ownership, windowBytesMax: limits.windowBytesMax, now });
  registerRelayMetrics(metrics, ownership, limits.heldBytesMax);
  registerPlacementMetrics(metrics, parts);
  registerViewMetrics(metrics, { ...parts, subscribeReplies: hub.replies.counts, lingering: hub.lingering });
  registerCatchUpMetrics(metrics, { catchUps: hub.catchUps, history, limits });
  registerWorkMetrics(metrics, parts.work);
  registerFreshnessMetrics(metrics, {
    silences: ownership.silences,
    cuts: hub.cuts,
    cutBytesMax: limits.cutBytesMax,
  });
}
