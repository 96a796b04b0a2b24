import type { Metrics } from '@tailrace/platform/metrics';
import type { Access } from './access/access.ts';
import { registerAccessMetrics } from './access/access-metrics.ts';
import { registerCatchUpMetrics } from './catch-up/catch-up-metrics.ts';
import type { History } from './catch-up/history.ts';
import { registerWorkMetrics } from './catch-up/work-metrics.ts';
import type { WorkScheduler } from './catch-up/work-scheduler.ts';
import type { Channels } from './channels/channels.ts';
import type { Hub } from './channels/hub.ts';
import type { ProgressMessages } from './channels/progress-messages.ts';
import type { FanoutSettings } from './config.ts';
import type { EventHub } from './events/event-hub.ts';
import { registerEventMetrics } from './events/event-metrics.ts';
import type { Ownership } from './ownership/ownership.ts';
import { registerOwnershipMetrics } from './ownership/ownership-metrics.ts';
import type { Migration } from './placement/migration.ts';
import type { RingPlacement } from './placement/placement.ts';
import { registerPlacementMetrics } from './placement/placement-metrics.ts';
import { registerFreshnessMetrics } from './presence/freshness-metrics.ts';
import { registerRelayMetrics } from './relay/relay-metrics.ts';
import type { ControlRequests } from './sessions/control-requests.ts';
import type { MessageScheduler } from './sessions/message-scheduler.ts';
import type { SessionCounts } from './sessions/session-counts.ts';
import { registerSessionMetrics } from './sessions/session-metrics.ts';
import type { Sessions } from './sessions/sessions.ts';
import type { StreamServer } from './sessions/stream-server.ts';
import type { StreamSockets } from './sessions/stream-socket.ts';
import type { Transport } from './transport.ts';
import type { Views } from './views/view.ts';
import { registerViewMetrics } from './views/view-metrics.ts';

/** The objects of a node that have metrics. */
export interface CountingNode {
  readonly ownership: Ownership;
  readonly sessions: Sessions;
  readonly sessionCounts: SessionCounts;
  readonly channels: Channels;
  readonly views: Views;
  readonly streams: StreamServer;
  readonly messages: MessageScheduler;
  readonly sockets: StreamSockets;
  readonly hub: Hub;
  readonly eventHub: EventHub;
  readonly control: ControlRequests;
  readonly progressMessages: ProgressMessages;
  readonly history: History;
  readonly work: WorkScheduler;
  readonly placement: RingPlacement;
  readonly migration: Migration;
  readonly access: Access;
  readonly transport: Transport;
  readonly limits: FanoutSettings;
  /** Monotonic ms. */
  readonly now: () => number;
}

/**
 * Registers the metrics of a fanout node; each folder has a file of its own. All values are read when they are
 * requested, so that hot paths only add to plain numbers. Each limit is a gauge with `limit_` before the name of the
 * gauge or histogram of its usage.
 */
export function registerMetrics(metrics: Metrics, node: CountingNode): void {
  const { ownership, sessions, sessionCounts: counts, channels, views, streams, messages, sockets } = node;
  const { hub, history, work } = node;
  const { progressMessages, placement, migration, access, transport, limits, now } = node;
  const { handshakes } = streams;
  const { catchUps, cuts, replies, lingering } = hub;
  const { cutBytesMax, windowBytesMax } = limits;
  registerSessionMetrics(metrics, { sessions, streams, messages, sockets, counts, limits, now });
  registerAccessMetrics(metrics, { access, handshakes, sessions, transport, limits, now });
  registerOwnershipMetrics(metrics, { ownership, windowBytesMax, now });
  registerRelayMetrics(metrics, ownership, limits.heldBytesMax);
  registerPlacementMetrics(metrics, { ownership, placement, migration });
  registerViewMetrics(metrics, { channels, views, subscribeReplies: replies.counts, lingering, progressMessages });
  registerCatchUpMetrics(metrics, { catchUps, history, limits });
  registerWorkMetrics(metrics, work);
  registerEventMetrics(metrics, { events: ownership.events, eventHub: node.eventHub, control: node.control, limits });
  registerFreshnessMetrics(metrics, { presence: ownership.presence, cuts, cutBytesMax });
}
