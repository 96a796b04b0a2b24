import { delayBoundsSeconds } from '@tailrace/platform/measures';
import type { Metrics } from '@tailrace/platform/metrics';
import type { Ownership } from '../ownership/ownership.ts';

/** What goes between nodes: frames of the partitions that others own, and asking for them. */
export function registerRelayMetrics(metrics: Metrics, ownership: Ownership, heldBytesMax: number): void {
  const { feed, relay } = ownership.counts;
  relay.askSeconds = metrics.histogram(
    'tailrace_fanout_relay_ask_duration_seconds',
    'Until an owner has answered. Those that did not are counted as failures.',
    delayBoundsSeconds,
  );
  metrics.total('tailrace_fanout_sent_relay_frames_total', 'Frames sent to other nodes.', () => feed.frames);
  metrics.total(
    'tailrace_fanout_sent_relay_updates_total',
    'Reports in frames sent to other nodes.',
    () => feed.updates,
  );
  metrics.total('tailrace_fanout_received_relay_frames_total', 'Frames taken from owners.', () => relay.frames);
  metrics.total(
    'tailrace_fanout_foreign_relay_frames_total',
    'Frames dropped: unreadable, or not from the owner.',
    () => relay.foreign,
  );
  metrics.total('tailrace_fanout_relay_breaks_total', 'Times a frame was missing.', () => relay.breaks);
  metrics.total('tailrace_fanout_relay_asks_total', 'Requests to owners.', () => relay.asks);
  metrics.total('tailrace_fanout_relay_ask_failures_total', 'Requests to owners that failed.', () => relay.askFailures);
  metrics.gauge(
    'tailrace_fanout_relay_held_bytes',
    'Bytes of frames held while an answer is under way, of the partition that has most.',
    () => ownership.table.heldBytesMost,
  );
  metrics.gauge(
    'tailrace_fanout_limit_relay_held_bytes',
    'Bytes of one partition at which its owner is asked again instead.',
    () => heldBytesMax,
  );
}
