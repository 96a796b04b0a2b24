import type { Counter, Histogram } from '@tailrace/platform/measures';
import { delayBoundsSeconds } from '@tailrace/platform/measures';
import type { Metrics } from '@tailrace/platform/metrics';
import { peerSessionsMax, type SessionDirectory } from './session-directory.ts';

/**
 * Why a device was opened without what another node had of it. `unavailable`: no connection to the node. `timeout`: no
 * reply in time. `unsettled`: the log had not settled all messages of the device, so that one may be in it twice.
 */
export const handOverFailures = ['unavailable', 'timeout', 'unsettled', 'other'] as const;
export type HandOverFailure = (typeof handOverFailures)[number];

export interface PeerCounts {
  readonly handOverSeconds: Histogram;
  readonly handOverFailures: Readonly<Record<HandOverFailure, Counter>>;
  /** Messages of the bus that could not be read. */
  readonly invalid: Counter;
  /** Lists of the sessions of another node, which this one has requested. */
  readonly lists: Counter;
}

export function createPeerCounts(metrics: Metrics): PeerCounts {
  const failures = metrics.counters(
    'tailrace_ingest_hand_over_failures_total',
    'Devices that were opened without what another node had of them, by reason.',
    { values: { reason: handOverFailures } },
  );
  return {
    handOverSeconds: metrics.histogram(
      'tailrace_ingest_hand_over_duration_seconds',
      'From the request to another node to its reply, when a device has moved here.',
      delayBoundsSeconds,
    ),
    handOverFailures: Object.fromEntries(
      handOverFailures.map((reason) => [reason, failures.with({ reason })]),
    ) as PeerCounts['handOverFailures'],
    invalid: metrics.counter(
      'tailrace_ingest_invalid_session_messages_total',
      'Messages of other nodes that could not be read.',
    ),
    lists: metrics.counter('tailrace_ingest_session_lists_total', 'Lists of sessions requested from other nodes.'),
  };
}

/** `own`: returns the open sessions of this node. `now`: monotonic ms. */
export function registerDirectory(
  metrics: Metrics,
  directory: SessionDirectory,
  own: () => number,
  now: () => number,
): void {
  metrics.gauge('tailrace_ingest_peer_nodes', 'Other ingest nodes that can be reached.', () =>
    directory.reachableNodes(now()),
  );
  metrics.gauge(
    'tailrace_ingest_known_sessions',
    'Open sessions of devices that this node knows, on all nodes.',
    () => own() + directory.open,
  );
  metrics.gauge('tailrace_ingest_peer_sessions', 'Devices of other nodes that are remembered.', () => directory.size);
  metrics.gauge(
    'tailrace_ingest_limit_peer_sessions',
    'Devices of other nodes that are remembered: the limit.',
    () => peerSessionsMax,
  );
}
