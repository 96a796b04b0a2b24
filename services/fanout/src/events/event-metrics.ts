import type { Metrics } from '@tailrace/platform/metrics';
import { alarmNumbersMax } from '@tailrace/protocol/alarm-order';
import type { ControlRequests } from '../sessions/control-requests.ts';
import type { EventHub } from './event-hub.ts';
import type { EventSettings } from './event-settings.ts';
import type { Events } from './events.ts';

export interface EventMetricsOptions {
  readonly events: Events;
  readonly eventHub: EventHub;
  readonly control: ControlRequests;
  readonly limits: EventSettings;
}

/** Registers the metrics of alarms, commands and leases. */
export function registerEventMetrics(metrics: Metrics, options: EventMetricsOptions): void {
  const { events, eventHub, control, limits } = options;
  const { counts, replicaCounts, boards, feeds } = events;
  const sum = (of: (board: (typeof boards)[number]) => number) => boards.reduce((total, board) => total + of(board), 0);
  const total = (name: string, help: string, of: () => number) => metrics.total(`tailrace_fanout_${name}`, help, of);
  const gauge = (name: string, help: string, of: () => number) => metrics.gauge(`tailrace_fanout_${name}`, help, of);
  total('accepted_events_total', 'Events of alarms, commands and leases that were accepted.', () => counts.accepted);
  total(
    'duplicate_events_total',
    'Events that were dropped: written twice, or by a process that has lost the partition.',
    () => counts.repeated,
  );
  total('invalid_events_total', 'Records of the topic of events that are no event.', () => counts.invalid);
  total('event_deliveries_total', 'Events sent to clients, times clients.', () => eventHub.counts.deliveries);
  total('sent_event_frames_total', 'Frames of events sent to other nodes.', () =>
    feeds.reduce((frames, feed) => frames + feed.counts.frames, 0),
  );
  total('event_gaps_total', 'Gaps in the frames of events of an owner.', () => replicaCounts.gaps);
  total('event_request_failures_total', 'Requests for events that failed.', () => replicaCounts.requestFailures);
  gauge('event_subscriptions', 'Subscriptions to alarms and commands.', () => eventHub.subscriptions);
  gauge('event_replicas', 'Partitions whose events this node follows at their owner.', () => events.replicas);
  gauge('unread_event_partitions', 'Partitions of this node whose events are not read back yet.', () => events.unread);
  gauge('event_window_bytes', 'Bytes of the newest events in memory.', () => sum(({ windowBytes }) => windowBytes));
  gauge(
    'limit_event_window_bytes',
    'Maximum of the newest events in memory; beyond it the oldest are removed.',
    () => limits.eventWindowBytesMax,
  );
  gauge('alarms', 'Alarms that are not normal, of the partitions that this node knows.', () => sum((of) => of.alarms));
  gauge('limit_alarms', 'Maximum of the alarms; beyond it the oldest are not in snapshots.', () => limits.alarmsMax);
  total('dropped_alarms_total', 'Alarms that are not in snapshots, for lack of space.', () => counts.dropped);
  gauge(
    'alarm_numbers',
    'Rules at devices whose last number is known, so that a transition that is written twice is dropped; of the partition with most.',
    () => Math.max(0, ...boards.map((board) => board.alarmNumbers)),
  );
  gauge(
    'limit_alarm_numbers',
    'Maximum of the known numbers of a partition; beyond it those that changed longest ago are forgotten.',
    () => alarmNumbersMax,
  );
  total('control_requests_total', 'Requests of clients to control.', () => control.counts.requests);
  total('control_request_failures_total', 'Requests to control that failed.', () => control.counts.failures);
  gauge('connection_control_requests', 'Requests in progress, of the connection with most.', () => control.mostPending);
  gauge(
    'limit_connection_control_requests',
    'Maximum of the requests in progress of a connection; beyond it rate_limited.',
    () => limits.controlRequestsMax,
  );
  gauge('user_control_requests', 'Requests to control in progress, of the user with most.', () => control.mostOfUser);
  gauge(
    'limit_user_control_requests',
    'Maximum of the requests in progress of a user; beyond it rate_limited.',
    () => limits.userControlRequestsMax,
  );
  gauge(
    'connection_commands',
    'Commands whose final state was not sent, of the connection with most.',
    () => control.mostWatched,
  );
  gauge(
    'limit_connection_commands',
    'Maximum of the commands in progress of a connection; beyond it limit_reached.',
    () => limits.commandsPerConnectionMax,
  );
}
