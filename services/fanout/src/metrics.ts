import type { Metrics } from '@tailrace/platform/metrics';
import type { CatchUps } from './catchup/catchups.ts';
import type { Channels } from './channels/channels.ts';
import type { FanoutSettings } from './config.ts';
import type { Ownership } from './ownership/ownership.ts';
import type { Sessions } from './sessions/sessions.ts';
import type { StreamServer } from './sessions/streamserver.ts';
import type { Views } from './views/view.ts';

/** Registers what a fanout node counts. Everything is read out when it is asked for: the hot path only adds to plain numbers. */
export function registerMetrics(
  metrics: Metrics,
  parts: {
    ownership: Ownership;
    sessions: Sessions;
    channels: Channels;
    views: Views;
    streams: StreamServer;
    connectionsMax: number;
    catchUps: CatchUps;
    limits: Pick<FanoutSettings, 'replaysMax' | 'socketMarkBytes' | 'socketBytesMax' | 'repliesBytesMax' | 'lagMsMax'>;
  },
): void {
  const { ownership, sessions, channels, views, streams, catchUps, limits, connectionsMax } = parts;
  const { partition, feed, mirror } = ownership.counts;
  const roles = (role: string) => ownership.partitions.filter((each) => each.role === role && !each.acting).length;

  metrics.gauge('tailrace_fanout_connections', 'Clients connected.', () => sessions.size);
  metrics.gauge('tailrace_fanout_limit_connections', 'Clients this node takes.', () => connectionsMax);
  metrics.total('tailrace_fanout_opened_connections_total', 'Clients that connected.', () => streams.counts.opened);
  metrics.total(
    'tailrace_fanout_refused_connections_total',
    'Handshakes refused with 503.',
    () => streams.counts.refused,
  );
  metrics.total(
    'tailrace_fanout_slow_connections_total',
    'Clients let go because they read too slowly.',
    () => streams.counts.tooSlow,
  );
  metrics.gauge(
    'tailrace_fanout_lagging_connections',
    'Clients that are off the topics because they read too slowly.',
    () => streams.counts.lagging,
  );
  metrics.total(
    'tailrace_fanout_lag_seconds_total',
    'How long clients lagged that do not any more.',
    () => streams.counts.lagMs / 1_000,
  );
  metrics.total(
    'tailrace_fanout_slow_conflated_reports_total',
    'Reports that slow clients were told in sum only.',
    () => catchUps.counts.conflated,
  );
  metrics.gauge(
    'tailrace_fanout_waiting_reply_bytes',
    'Replies to clients whose sockets take none.',
    () => streams.counts.replies.bytes,
  );
  metrics.gauge('tailrace_fanout_replays', 'Subscriptions that are shown the past.', () => catchUps.counts.replays);
  metrics.gauge('tailrace_fanout_paced_replays', 'Those with a speed.', () => catchUps.counts.pacedReplays);
  metrics.gauge('tailrace_fanout_limit_paced_replays', 'Those this node runs at once.', () => limits.replaysMax);
  metrics.gauge(
    'tailrace_fanout_limit_socket_mark_bytes',
    'Bytes waiting in a socket at which its client lags.',
    () => limits.socketMarkBytes,
  );
  metrics.gauge(
    'tailrace_fanout_limit_socket_bytes',
    'Bytes waiting in a socket at which it is cut.',
    () => limits.socketBytesMax,
  );
  metrics.gauge(
    'tailrace_fanout_limit_reply_bytes',
    'Replies that may wait for one client.',
    () => limits.repliesBytesMax,
  );
  metrics.gauge('tailrace_fanout_limit_lag_seconds', 'How long a client may lag.', () => limits.lagMsMax / 1_000);
  metrics.total(
    'tailrace_fanout_faults_total',
    'Times that a client could not be served because of a fault of this node; the log says more.',
    () => streams.counts.faults,
  );
  metrics.total('tailrace_fanout_received_messages_total', 'Messages from clients.', () => streams.counts.messages);
  metrics.gauge('tailrace_fanout_channels', 'Channels watched by clients of this node.', () => channels.size);

  metrics.total('tailrace_fanout_reports_total', 'Reports read from the log.', () => partition.reports);
  metrics.total(
    'tailrace_fanout_repeated_reports_total',
    'Reports of an ID seen before, not delivered again.',
    () => partition.repeated,
  );
  metrics.total(
    'tailrace_fanout_unreadable_records_total',
    'Log records that are no report of their key.',
    () => partition.unreadable,
  );
  metrics.total(
    'tailrace_fanout_checkpoint_records_total',
    'Devices whose last values were written to the state topic.',
    () => ownership.checkpoints.counts.records,
  );
  metrics.total(
    'tailrace_fanout_checkpoint_failures_total',
    'Times that last values could not be written.',
    () => ownership.checkpoints.counts.failures,
  );
  metrics.gauge('tailrace_fanout_window_bytes', 'Newest reports kept for clients that come back.', () =>
    ownership.partitions.reduce((sum, each) => sum + each.window.bytes, 0),
  );
  metrics.total('tailrace_fanout_frames_total', 'Frames published to views.', () => views.counts.frames);
  metrics.total(
    'tailrace_fanout_deliveries_total',
    'Reports times the clients they were sent to.',
    () => views.counts.deliveries,
  );
  metrics.gauge('tailrace_fanout_views', 'Ways in which channels are seen.', () => views.size);
  metrics.gauge(
    'tailrace_fanout_shaped_views',
    'Those with maxRate, deadband, tags, delta or align.',
    () => views.shaped,
  );
  metrics.gauge('tailrace_fanout_channel_views', 'Shaped views of the channel that has most.', () =>
    channels.shapedViewsMost(),
  );
  metrics.gauge(
    'tailrace_fanout_limit_channel_views',
    'Shaped views that a channel may have.',
    () => views.limits.channelViewsMax,
  );
  metrics.total(
    'tailrace_fanout_conflated_reports_total',
    'Reports that a view left out for its rate, and told in sum.',
    () => views.counts.conflated,
  );
  metrics.total(
    'tailrace_fanout_untagged_reports_total',
    'Reports that a view left out because none of its tags is in them.',
    () => views.counts.untagged,
  );
  metrics.total(
    'tailrace_fanout_held_back_reports_total',
    'Reports that a view left out because they are within its deadband.',
    () => views.counts.heldBack,
  );
  metrics.gauge(
    'tailrace_fanout_told_readings',
    'Readings remembered for deadband and delta.',
    () => views.told.readings,
  );
  metrics.gauge(
    'tailrace_fanout_limit_told_readings',
    'Readings at which the oldest are forgotten.',
    () => views.told.readingsMax,
  );
  metrics.gauge('tailrace_fanout_paced_bytes', 'Reports that wait for a rate.', () => views.paced.bytes);
  metrics.gauge(
    'tailrace_fanout_limit_paced_bytes',
    'Bytes at which they do not wait any more.',
    () => views.paced.bytesMax,
  );
  metrics.gauge(
    'tailrace_fanout_log_queue_records',
    'Records read from the log and not yet worked through.',
    () => ownership.queue().records,
  );
  metrics.gauge(
    'tailrace_fanout_limit_log_queue_records',
    'Records at which reading pauses.',
    () => ownership.queue().recordsMax,
  );

  metrics.gauge('tailrace_fanout_owned_partitions', 'Partitions this node owns and serves.', () => roles('owned'));
  metrics.gauge('tailrace_fanout_recovering_partitions', 'Partitions this node reads back.', () => roles('recovering'));
  metrics.gauge(
    'tailrace_fanout_ring_nodes',
    'Nodes this node hears of, itself included.',
    () => ownership.ring.nodes().length,
  );
  metrics.gauge(
    'tailrace_fanout_ring_partitions',
    'Partitions with an owner, as this node sees it.',
    () => ownership.ring.owned,
  );
  metrics.gauge('tailrace_fanout_devices', 'Devices whose last values this node keeps.', () =>
    ownership.partitions.reduce((sum, each) => sum + each.devices.size, 0),
  );

  metrics.total('tailrace_fanout_sent_relay_frames_total', 'Frames sent to other nodes.', () => feed.frames);
  metrics.total(
    'tailrace_fanout_sent_relay_updates_total',
    'Reports in frames sent to other nodes.',
    () => feed.updates,
  );
  metrics.total('tailrace_fanout_received_relay_frames_total', 'Frames taken from owners.', () => mirror.frames);
  metrics.total(
    'tailrace_fanout_foreign_relay_frames_total',
    'Frames dropped: unreadable, or not from the owner.',
    () => mirror.foreign,
  );
  metrics.total('tailrace_fanout_relay_breaks_total', 'Times a frame was missing.', () => mirror.breaks);
  metrics.total('tailrace_fanout_relay_asks_total', 'Requests to owners.', () => mirror.asks);
  metrics.total(
    'tailrace_fanout_relay_ask_failures_total',
    'Requests to owners that failed.',
    () => mirror.askFailures,
  );
  metrics.gauge('tailrace_fanout_relay_held_bytes', 'Bytes of frames held while answers are under way.', () =>
    ownership.heldBytes(),
  );
}
