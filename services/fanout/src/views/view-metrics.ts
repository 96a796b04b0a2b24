import { delayBoundsSeconds } from '@tailrace/platform/measures';
import type { Metrics } from '@tailrace/platform/metrics';
import type { Channels } from '../channels/channels.ts';
import { LingeringChannels } from '../channels/lingering-channels.ts';
import type { ProgressMessages } from '../channels/progress-messages.ts';
import { type SubscribeReplyCounts, startKinds } from '../channels/subscribe-replies.ts';
import type { Views } from './view.ts';

/** Registers the metrics of subscriptions, channels and views: what was sent, and what views left out. */
export function registerViewMetrics(
  metrics: Metrics,
  sources: {
    channels: Channels;
    views: Views;
    subscribeReplies: SubscribeReplyCounts;
    lingering: LingeringChannels;
    progressMessages: ProgressMessages;
  },
): void {
  const { channels, views, subscribeReplies, lingering, progressMessages } = sources;
  const starts = metrics.counters(
    'tailrace_fanout_started_subscriptions_total',
    'Subscriptions that started, by start: with last values, after a position, from a time; partial: something was missing.',
    { values: { start: startKinds } },
  );
  for (const start of startKinds) subscribeReplies.starts[start] = starts.with({ start });
  subscribeReplies.seconds = metrics.histogram(
    'tailrace_fanout_subscribe_duration_seconds',
    'From the subscribe message until the subscribed reply.',
    delayBoundsSeconds,
  );
  metrics.gauge('tailrace_fanout_channels', 'Channels to which clients of this node subscribe.', () => channels.size);
  metrics.gauge(
    'tailrace_fanout_lingering_channels',
    'Subtrees without subscriptions that stay open for a while.',
    () => lingering.size,
  );
  metrics.gauge(
    'tailrace_fanout_limit_lingering_channels',
    'Maximum of lingering channels; beyond it the oldest is closed.',
    () => LingeringChannels.countMax,
  );
  metrics.total(
    'tailrace_fanout_progress_messages_total',
    'Positions sent to the clients of views with few reports.',
    () => progressMessages.counts.sent,
  );
  registerViews(metrics, views);
}

function registerViews(metrics: Metrics, views: Views): void {
  metrics.total('tailrace_fanout_frames_total', 'Frames published to views.', () => views.counts.frames);
  metrics.total(
    'tailrace_fanout_deliveries_total',
    'Reports times the clients they were sent to.',
    () => views.counts.deliveries,
  );
  metrics.gauge(
    'tailrace_fanout_views',
    'Views of channels: one for each encoding and set of options.',
    () => views.size,
  );
  metrics.gauge(
    'tailrace_fanout_shaped_views',
    'Views with maxRate, deadband, tags, delta or align.',
    () => views.shaped,
  );
  metrics.total(
    'tailrace_fanout_conflated_reports_total',
    'Reports that a view left out for its rate, and summarized.',
    () => views.counts.conflated,
  );
  metrics.total(
    'tailrace_fanout_unmatched_reports_total',
    'Reports that a view left out because none of its tags is in them.',
    () => views.counts.untagged,
  );
  metrics.total(
    'tailrace_fanout_deadband_reports_total',
    'Reports that a view left out because they are within its deadband.',
    () => views.counts.heldBack,
  );
  metrics.gauge(
    'tailrace_fanout_last_sent_readings',
    'Last-sent readings remembered for deadband and delta.',
    () => views.lastSent.readings,
  );
  metrics.gauge(
    'tailrace_fanout_limit_last_sent_readings',
    'Last-sent readings at which the oldest are evicted.',
    () => views.lastSent.readingsMax,
  );
  metrics.gauge('tailrace_fanout_paced_bytes', 'Reports held by views with maxRate, bytes.', () => views.paced.bytes);
  metrics.gauge(
    'tailrace_fanout_limit_paced_bytes',
    'Bytes at which reports are not held any more.',
    () => views.paced.bytesMax,
  );
}
