import type { Bus } from '@tailrace/bus/bus';
import type { EventLog } from '@tailrace/eventlog/eventlog';
import type { Clock } from '@tailrace/platform/clock';
import type { Log } from '@tailrace/platform/log';
import type { Tracing } from '@tailrace/platform/tracing';
import type { WorkScheduler } from '../catchup/work-scheduler.ts';
import type { OnMissing } from '../channels/channel.ts';
import type { Channels } from '../channels/channels.ts';
import type { KnownDeviceLimits } from '../channels/known-devices.ts';
import type { FreshnessLimits } from '../presence/freshness.ts';
import type { Views } from '../views/view.ts';
import type { IdLimits } from './id-memory.ts';

export interface OwnershipLimits extends FreshnessLimits, KnownDeviceLimits, IdLimits {
  /** See `Interruptions`. */
  readonly interruptedMs: number;
  /** See `Progress`. */
  readonly cutSlackMs: number;
  /** The log's batching window, ms: how long readings gather before they go out together. */
  readonly flushMs: number;
  /** Records of a partition read back by a new owner, to know the last values. */
  readonly recoveryRecordsMax: number;
  /** Of the newest reports kept for clients that come back, a partition. */
  readonly windowBytesMax: number;
  readonly windowMs: number;
  /** A node silent for this long is suspect: another serves its partitions until it is heard again, or the group has spoken. */
  readonly suspectMs: number;
  /** A node silent for this long is absent. */
  readonly nodeSilenceMs: number;
  /** How long a node that stops goes on serving its partitions until others do. */
  readonly handoverMs: number;
  readonly interestLeaseMs: number;
  /** For one answer of an owner. */
  readonly askDeadlineMs: number;
  readonly frameSilenceMs: number;
  readonly heldBytesMax: number;
  /** See `OwnerDesk`. */
  readonly backlogRecordsMax?: number;
}

export interface OwnershipParts {
  readonly eventLog: EventLog;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  readonly tracing: Tracing;
  readonly random: () => number;
  readonly channels: Channels;
  /** For what other nodes ask for. */
  readonly work: WorkScheduler;
  /** Calls once in a later turn of the event loop, after what is ready now. Default: by the clock. */
  readonly defer?: ((call: () => void) => void) | undefined;
  readonly views: Views;
  readonly node: string;
  /** Where clients reach this node. */
  readonly url: () => string;
  readonly topic: string;
  readonly stateTopic: string;
  readonly group: string;
  readonly epoch: string;
  readonly partitions: number;
  readonly connections: () => number;
  /** Clients this node takes. Default: not told, so that none is sent here. */
  readonly connectionsMax?: number;
  /** Clients of other nodes can be sent to `url`. Default: no. */
  readonly reachable?: boolean;
  readonly onMissing: OnMissing;
  /** Told of each fault of the subscription. Default: nobody is. */
  readonly onLogFault?: () => void;
  readonly limits: OwnershipLimits;
}
