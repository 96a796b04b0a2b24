import { type Counter, delayBoundsSeconds, type Histogram } from '@tailrace/platform/measures';
import type { Metrics } from '@tailrace/platform/metrics';
import { recentIdsMax } from './logged-reports.ts';

/**
 * What became of a message of a broker. `accepted`: its reports are in the log. `dead_letter`: it is none, or in part.
 * `duplicate`: the log has had all of its reports, by their IDs. `retained`: the broker had kept it, and it is not to
 * be taken.
 */
export const bridgeOutcomes = ['accepted', 'duplicate', 'dead_letter', 'retained'] as const;
export type BridgeOutcome = (typeof bridgeOutcomes)[number];

/** The counters of one bridge. */
export interface BridgeCounts {
  readonly messages: Readonly<Record<BridgeOutcome, Counter>>;
  readonly ackSeconds: Histogram;
  /** Messages that the log has refused, and that were appended again. */
  readonly retried: Counter;
  readonly disconnects: Counter;
  readonly takeovers: Counter;
}

/** What the gauges of a bridge read. */
export interface BridgeState {
  readonly name: string;
  readonly isConnected: boolean;
  /** Messages that wait for the log. */
  readonly unsettled: number;
  readonly heldBytes: number;
  /** Age of the oldest of them, ms; 0 without one. */
  readonly oldestMs: number;
  readonly refusedFilters: number;
  /** Message IDs of reports that are known to be in the log. */
  readonly recentIds: number;
  readonly receiveMaximum: number;
}

/** Bytes of the messages of one bridge that wait for the log. */
export const bridgeBytesMax = 16 * 1_024 * 1_024;

/** Returns the counters by bridge. */
export function createBridgeCounts(metrics: Metrics, names: readonly string[]): (name: string) => BridgeCounts {
  const labels = { values: { bridge: names } };
  const messages = metrics.counters('tailrace_ingest_bridge_messages_total', 'Messages of brokers, by outcome.', {
    values: { bridge: names, outcome: bridgeOutcomes },
  });
  const ackSeconds = metrics.histograms(
    'tailrace_ingest_bridge_ack_duration_seconds',
    'From the receipt of a message of a broker until the log has it.',
    delayBoundsSeconds,
    labels,
  );
  const retried = metrics.counters(
    'tailrace_ingest_bridge_retried_appends_total',
    'Reports of bridges that were appended again, because the log had not confirmed them.',
    labels,
  );
  const disconnects = metrics.counters(
    'tailrace_ingest_bridge_disconnects_total',
    'Lost connections to brokers, and attempts that failed.',
    labels,
  );
  const takeovers = metrics.counters(
    'tailrace_ingest_bridge_takeovers_total',
    'Connections to brokers that another client with the same client ID has taken over.',
    labels,
  );
  return (bridge) => ({
    messages: {
      accepted: messages.with({ bridge, outcome: 'accepted' }),
      duplicate: messages.with({ bridge, outcome: 'duplicate' }),
      dead_letter: messages.with({ bridge, outcome: 'dead_letter' }),
      retained: messages.with({ bridge, outcome: 'retained' }),
    },
    ackSeconds: ackSeconds.with({ bridge }),
    retried: retried.with({ bridge }),
    disconnects: disconnects.with({ bridge }),
    takeovers: takeovers.with({ bridge }),
  });
}

/** Registers the gauges of all bridges of this process. */
export function registerBridgeGauges(metrics: Metrics, bridges: readonly BridgeState[]): void {
  const gauge = (name: string, help: string, read: (bridge: BridgeState) => number) =>
    metrics.gauges(`tailrace_ingest_bridge_${name}`, help, 'bridge', Math.max(1, bridges.length), () =>
      bridges.map((bridge) => [bridge.name, read(bridge)] as const),
    );
  gauge('connections', 'Open connections to the broker: 1, or 0.', ({ isConnected }) => Number(isConnected));
  gauge('window_messages', 'Messages of the broker that wait for the log.', ({ unsettled }) => unsettled);
  gauge('window_bytes', 'Bytes of these messages.', ({ heldBytes }) => heldBytes);
  gauge('oldest_message_seconds', 'Age of the oldest of them.', ({ oldestMs }) => oldestMs / 1_000);
  gauge('refused_filters', 'Subscriptions that the broker has refused.', ({ refusedFilters }) => refusedFilters);
  gauge('recent_ids', 'Message IDs by which repeated messages are recognized.', ({ recentIds }) => recentIds);
  metrics.gauge(
    'tailrace_ingest_limit_bridge_recent_ids',
    'Message IDs by which repeated messages of one bridge are recognized: the limit.',
    () => recentIdsMax,
  );
  metrics.gauges(
    'tailrace_ingest_limit_bridge_window_messages',
    'Messages of the broker that wait for the log: the limit, receiveMaximum.',
    'bridge',
    Math.max(1, bridges.length),
    () => bridges.map(({ name, receiveMaximum }) => [name, receiveMaximum] as const),
  );
  metrics.gauge(
    'tailrace_ingest_limit_bridge_window_bytes',
    'Bytes of messages of one broker that wait for the log: the limit.',
    () => bridgeBytesMax,
  );
}
