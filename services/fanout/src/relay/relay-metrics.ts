import { delayBoundsSeconds } from '@tailrace/platform/measures';
import type { Metrics } from '@tailrace/platform/metrics';
import type { Ownership } from '../ownership/ownership.ts';

/** Registers the metrics of frames between nodes, and of requests to owners. */
export function registerRelayMetrics(metrics: Metrics, ownership: Ownership, heldBytesMax: number): void {
  const { feed, relay } = ownership.counts;
  relay.replySeconds = metrics.histogram(
    'tailrace_fanout_relay_request_duration_seconds',
    'Reply times of owners. Requests without a reply are counted as failures.',
    delayBoundsSeconds,
  );
  metrics.total('tailrace_fanout_sent_relay_frames_total', 'Frames sent to other nodes.', () => feed.frames);
  metrics.total(
    'tailrace_fanout_sent_relay_updates_total',
    'Reports in frames sent to other nodes.',
    () => feed.updates,
  );
  metrics.total('tailrace_fanout_received_relay_frames_total', 'Frames received from owners.', () => relay.frames);
  metrics.total(
    'tailrace_fanout_rejected_relay_frames_total',
    'Received frames that were rejected: unreadable, or not from the owner.',
    () => relay.rejected,
  );
  metrics.total('tailrace_fanout_relay_gaps_total', 'Gaps in the frames of an owner.', () => relay.gaps);
  metrics.total('tailrace_fanout_relay_requests_total', 'Requests to owners.', () => relay.requests);
  metrics.total(
    'tailrace_fanout_relay_request_failures_total',
    'Requests to owners that failed.',
    () => relay.requestFailures,
  );
  metrics.gauge(
    'tailrace_fanout_relay_held_bytes',
    'Bytes of frames held while a reply is pending, of the partition that has most.',
    () => ownership.table.heldBytesMost,
  );
  metrics.gauge(
    'tailrace_fanout_limit_relay_held_bytes',
    'Maximum bytes of frames held for one partition; beyond it they are dropped, and requested from its owner.',
    () => heldBytesMax,
  );
}
