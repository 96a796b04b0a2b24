import { delayBoundsSeconds } from '@tailrace/platform/measures';
import type { Metrics } from '@tailrace/platform/metrics';
import type { Channels } from '../channels/channels.ts';
import type { LingeringChannels } from '../channels/lingering-channels.ts';
import { type SubscribeReplyCounts, startKinds } from '../channels/subscribe-replies.ts';
import type { Views } from './view.ts';

/** What is watched and how it is seen: subscriptions that begin, channels, views, what goes out, and what views leave out. */
export function registerViewMetrics(
  metrics: Metrics,
  parts: { channels: Channels; views: Views; subscribeReplies: SubscribeReplyCounts; lingering: LingeringChannels },
): void {
  const { channels, views, subscribeReplies, lingering } = parts;
  const starts = metrics.counters(
    'tailrace_fanout_begun_subscriptions_total',
    'Subscriptions that began, by how: with last values, after a position, from a time; partial: something was missing.',
    { values: { start: startKinds } },
  );
  for (const start of startKinds) subscribeReplies.starts[start] = starts.with({ start });
  subscribeReplies.seconds = metrics.histogram(
    'tailrace_fanout_subscribe_duration_seconds',
    'From the wish of a client until its subscription has begun.',
    delayBoundsSeconds,
  );
  metrics.gauge('tailrace_fanout_channels', 'Channels watched by clients of this node.', () => channels.size);
  metrics.gauge(
    'tailrace_fanout_lingering_channels',
    'Subtrees without subscriptions that are kept open for a while.',
    () => lingering.size,
  );
  metrics.gauge(
    'tailrace_fanout_limit_lingering_channels',
    'Those that are kept; beyond it the one kept longest is closed.',
    () => lingering.limit,
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
}
