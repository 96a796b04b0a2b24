import { type Clock, systemClock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import type { KafkaCompression } from './codecs.ts';

/**
 * PEM texts. Without `ca` the public authorities are trusted. `cert` and `key`: of this client, if brokers require
 * them.
 */
export interface KafkaTls {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

export interface KafkaCredentials {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
  readonly username: string;
  readonly password: string;
}

export interface KafkaEventLogOptions {
  /** `host:port` of one or more brokers to start with. */
  readonly brokers: readonly string[];
  readonly logger: Logger;
  readonly clock?: Clock;
  /** In [0, 1). Selects the broker of a request that any broker answers. Default: Math.random. */
  readonly random?: () => number;
  /** Client ID for the logs and quotas of the brokers. Default: `tailrace`. */
  readonly clientId?: string;
  /** The topic `<prefix>.meta` has the epochs. Default: `tailrace`. */
  readonly prefix?: string;
  /** Enables TLS. Called at each connect, so that renewed certificates are used. */
  readonly tls?: () => KafkaTls;
  readonly sasl?: KafkaCredentials;
  /** Replication factor of created topics. Default: `default.replication.factor` of the broker. */
  readonly replicationFactor?: number;
  /**
   * Default: none. zstd costs 1 µs to append and 2 µs to read a record (200 B, batches of 100), and more in small
   * batches.
   */
  readonly compression?: KafkaCompression;
  /** Most bytes accepted and not acknowledged. Beyond it `append` rejects with `unavailable`. Default: 64 MB. */
  readonly pendingBytesMax?: number;
  /** A record that is not acknowledged within this time is rejected as `unavailable`, ms. Default: 10,000. */
  readonly appendTimeoutMs?: number;
  /** Timeout of one request, ms. Default: 5,000. */
  readonly requestTimeoutMs?: number;
  /** Timeout of one connection attempt, ms. Default: 3,000. */
  readonly connectTimeoutMs?: number;
  /** Deadline of `start`, and of joining a group, ms. Default: 10,000. */
  readonly startTimeoutMs?: number;
  /** Most records that a subscription has read and not delivered. Default: 50,000. */
  readonly queueRecordsMax?: number;
  /** When reading has stalled for this time, the connections are re-created, ms. Default: 10,000. */
  readonly stallMs?: number;
}

const megabyte = 1_048_576;

/** Constants that operators do not change. */
const fixed = {
  /** How long an append waits for others, ms. */
  lingerMs: 3,
  /** Most bytes of one partition in one request; the default limit of a broker is 1,048,588. */
  batchBytesMax: 900_000,
  /** Most bytes of one request. */
  requestBytesMax: 4 * megabyte,
  /** Most bytes that a subscription has read and not delivered. */
  queueBytesMax: 64 * megabyte,
  /** With this number of bytes a fetch is answered before `flushMs`. */
  fetchMinBytes: megabyte,
  /** Heartbeat interval, ms: the most that a member notices a rebalance late. */
  heartbeatMs: 250,
  /** Session timeout, ms; 6,000 if the broker does not allow it. */
  sessionTimeoutMs: 3000,
  /** How long a committed position may wait to be written, ms. */
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

/** The options with all defaults. */
export type KafkaSettings = typeof fixed &
  typeof defaults &
  Pick<KafkaEventLogOptions, 'brokers' | 'logger'> &
  Required<Pick<KafkaEventLogOptions, 'clock' | 'random'>>;

export function kafkaSettingsFrom(options: KafkaEventLogOptions): KafkaSettings {
  return { ...defaults, clock: systemClock, random: Math.random, ...options, ...fixed };
}
