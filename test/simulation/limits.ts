import { LingeringChannels } from '@tailrace/fanout/channels/lingering-channels';
import { ProgressMessages } from '@tailrace/fanout/channels/progress-messages';
import { Snapshot } from '@tailrace/fanout/channels/snapshot';
import type { FanoutSettings } from '@tailrace/fanout/config';
import { InterestServer } from '@tailrace/fanout/relay/interest-server';
import { replaceProperty } from '@tailrace/testkit/replace-property';
import { limits as clusterLimits } from '../../services/fanout/test/cluster.ts';
import { testConfig } from '../../services/fanout/test/node.ts';

/** Session timeout of the consumer group, ms. */
export const sessionMs = 3_000;

export const partitions = 6;

/**
 * How long an iteration of the event loop with background work takes, ms, so that other things happen in between. About
 * 200 steps per second, a tenth of what a process does: all clients of a restarted node reconnect within seconds.
 */
export const deferMs = { min: 0, max: 20 };

/**
 * Settings of the simulated nodes: as short as the product allows, or as is reasonable, so that timeouts and limits are
 * reached often.
 */
export const limits = {
  ...clusterLimits,
  flushMs: 20,
  // Less than the window of message IDs has, so that a new owner must read earlier records.
  recoveryRecordsMax: 5,
  idWindowMs: 4_000,
  idsMax: 20_000,
  windowBytesMax: 16_384,
  windowMs: 10_000,
  resumeRecordsMax: 400,
  resumeBytesMax: 30_000,
  joinDeadlineMs: 3_000,
  nodeTimeoutMs: 3_000,
  // Renewed every 10 s by clocks that may be slow by a fiftieth: it expires when a renewal is late.
  interestLeaseMs: 10_400,
  ownerRequestTimeoutMs: 500,
  heldBytesMax: 4_096,
  // For about ten clients that catch up at the same time.
  catchUpBytesMax: 4_194_304,
  socketHighWaterBytes: 8_192,
  socketBytesMax: 24_576,
  repliesBytesMax: 16_384,
  lagMsMax: 6_000,
  heartbeatMs: 3_000,
  pongDeadlineMs: 2_000,
  authDeadlineMs: 2_000,
  messageBytesMax: 16_384,
  subscriptionsMax: 20,
  viewsPerConnectionMax: 20,
  drainMs: 500,
  settleMs: 2_000,
  migrationsPerSecond: 20,
  expiryWarningMs: 60_000,
  tokenClockToleranceMs: 0,
  // Access limits are not simulated: all clients have one address, and tokens of one user.
  addressConnectionsMax: 1e6,
  addressHandshakesPerSecondMax: 1e6,
  handshakesPerSecondMax: 1e6,
  userConnectionsMax: 1e6,
  userSubscriptionsMax: 1e6,
  userViewsMax: 1e6,
  messagesPerSecondMax: 1e6,
} as const satisfies Partial<FanoutSettings>;

/** Replaces constants of the product in this process: a short run does not reach their limits. */
export function replaceConstants(): void {
  replaceProperty(LingeringChannels, 'lingerMs', 1_000);
  // A snapshot takes several frames, and iterations of the event loop.
  replaceProperty(Snapshot, 'devicesPerFrame', 3);
  // A node that was down must send several requests.
  replaceProperty(InterestServer, 'backlogRecordsMax', 40);
  // Partitions have few records in a run.
  replaceProperty(ProgressMessages, 'recordsMin', 3);
  replaceProperty(ProgressMessages, 'periodMs', 1_000);
  replaceProperty(ProgressMessages, 'channelsPerStep', 2);
}

/** No step takes virtual time, so that nothing else would stop background work. */
export const workStepsMax = 2;

/** Retention of the telemetry and the state topic. */
export const retention = { retentionMs: 1e12, retentionBytes: 1e12 } as const;

export function settingsOf(node: string): FanoutSettings {
  return testConfig({ ...limits, ...retention, node, publicUrl: `ws://${node}`, telemetryPartitions: partitions });
}
