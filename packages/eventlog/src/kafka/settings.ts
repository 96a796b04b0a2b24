import { type Clock, systemClock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import type { KafkaCompression } from './codecs.ts';

/** PEM texts. Without `ca` the public authorities count; `cert` and `key` are ours, where the brokers ask for them. */
export interface KafkaTls {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

export interface KafkaLogin {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
  readonly username: string;
  readonly password: string;
}

export interface KafkaEventLogOptions {
  /** `host:port` of one or more brokers to start with. */
  readonly brokers: readonly string[];
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Shown in the broker's log and quotas. Default `tailrace`. */
  readonly clientId?: string;
  /** The topic `<prefix>.meta` keeps the epochs. Default `tailrace`. */
  readonly prefix?: string;
  /** Speaks TLS. Called at each connect, so that renewed certificates are used. */
  readonly tls?: () => KafkaTls;
  readonly sasl?: KafkaLogin;
  /** Of topics that `ensureTopic` creates. Default: the broker's `default.replication.factor`. */
  readonly replicationFactor?: number;
  /**
   * Default none: zstd costs 1 µs a record more to append and 2 µs to read (200 B, batches of 100), and far more in
   * small batches.
   */
  readonly compression?: KafkaCompression;
  /** Bytes accepted and not yet answered. Beyond it `append` rejects as `unavailable`. Default 64 MB. */
  readonly pendingBytesMax?: number;
  /** A record that is not acknowledged within this time is rejected as `unavailable`, ms. Default 10,000. */
  readonly appendTimeoutMs?: number;
  /** Of one request, ms. Default 5000. */
  readonly requestTimeoutMs?: number;
  /** Of one connection attempt, ms. Default 3000. */
  readonly connectTimeoutMs?: number;
  /** Of `start`, and of joining a group, ms. Default 10,000. */
  readonly startTimeoutMs?: number;
  /** Of what a subscription has read and not delivered, records. Default 50,000. */
  readonly queueRecordsMax?: number;
  /** Where reading stands still for so long, connections are created again, ms. Default 10,000. */
  readonly stallMs?: number;
}

const megabyte = 1_048_576;

/** Values that no operator has a reason to change. */
const fixed = {
  /** How long an append waits for others, ms. */
  lingerMs: 3,
  /** Of one partition in one request; the broker's limit is 1,048,588 unless changed. */
  batchBytesMax: 900_000,
  /** Of one request. */
  requestBytesMax: 4 * megabyte,
  /** Of what a subscription has read and not delivered. */
  queueBytesMax: 64 * megabyte,
  /** From so many bytes on, a fetch is answered before `flushMs` has passed. */
  fetchMinBytes: megabyte,
  /**
   * How often a member asks whether its generation goes on: a partition that changes hands waits so long for the last
   * to notice.
   */
  heartbeatMs: 250,
  /** A dead member's partitions go to others after this long; after 6000 where the broker does not allow it. */
  sessionTimeoutMs: 3000,
  /** How long a committed position may wait to be written. */
  commitMs: 1000,
};

const defaults = {
  clientId: 'tailrace',
  prefix: 'tailrace',
  replicationFactor: -1,
  compression: 'none' as KafkaCompression,
  pendingBytesMax: 64 * megabyte,
  appendTimeoutMs: 10_000,
  requestTimeoutMs: 5000,
  connectTimeoutMs: 3000,
  startTimeoutMs: 10_000,
  queueRecordsMax: 50_000,
  stallMs: 10_000,
};

/** With every default filled in. */
export type KafkaSettings = typeof fixed &
  typeof defaults &
  Pick<KafkaEventLogOptions, 'brokers' | 'logger'> & { readonly clock: Clock };

export function kafkaSettingsFrom(options: KafkaEventLogOptions): KafkaSettings {
  return { ...defaults, clock: systemClock, ...options, ...fixed };
}
