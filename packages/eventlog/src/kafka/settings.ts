import { type Clock, systemClock } from '@tailrace/platform/clock';
import type { Log } from '@tailrace/platform/log';
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
  /** `host:port` of one or more brokers to begin with. */
  readonly brokers: readonly string[];
  readonly log: Log;
  readonly clock?: Clock;
  /** Shown in the broker's log and quotas. Default `tailrace`. */
  readonly clientId?: string;
  /** The topic `<prefix>.meta` keeps the epochs. Default `tailrace`. */
  readonly prefix?: string;
  /** Speak TLS. Called at each connect, so that renewed certificates are taken. */
  readonly tls?: () => KafkaTls;
  readonly sasl?: KafkaLogin;
  /** Of topics that `ensureTopic` makes. Default: the broker's `default.replication.factor`. */
  readonly replicationFactor?: number;
  /** How long an append waits for company, ms. Default 3. */
  readonly lingerMs?: number;
  /** Default none: zstd costs 1 µs a record more to append and 2 µs to read (200 B, batches of 100), and far more in small batches. */
  readonly compression?: KafkaCompression;
  /** Of one partition in one request. Default 900,000; the broker's limit is 1,048,588 unless changed. */
  readonly batchBytesMax?: number;
  /** Of one request. Default 4 MB. */
  readonly requestBytesMax?: number;
  /** Accepted and not yet answered; beyond it `append` is refused as `unavailable`. Default 64 MB. */
  readonly pendingBytesMax?: number;
  /** A record not acknowledged after this long is given up as `unavailable`, ms. Default 10,000. */
  readonly appendTimeoutMs?: number;
  /** Of one request, ms. Default 5000. */
  readonly requestTimeoutMs?: number;
  /** Of one connection attempt, ms. Default 3000. */
  readonly connectTimeoutMs?: number;
  /** Of `start`, and of joining a group, ms. Default 10,000. */
  readonly startTimeoutMs?: number;
  /** Of a subscription's queue. Default 50,000. */
  readonly queueRecordsMax?: number;
  /** Default 64 MB. */
  readonly queueBytesMax?: number;
  /** From so many bytes on a fetch is answered before `flushMs` is over. Default 1 MB. */
  readonly fetchMinBytes?: number;
  /** How often a member asks whether the group goes on as it is: a partition that changes hands waits this long for the last to notice. Default 250. */
  readonly heartbeatMs?: number;
  /** A dead member's partitions go to others after this long, ms. Default 3000; 6000 where the broker does not allow it. */
  readonly sessionTimeoutMs?: number;
  /** How long a position that was committed may wait to be written, ms. Default 1000. */
  readonly commitMs?: number;
  /** Reading that stands still for so long is connected anew, ms. Default 10,000. */
  readonly stallMs?: number;
}

const megabyte = 1_048_576;
const defaults = {
  clientId: 'tailrace',
  prefix: 'tailrace',
  replicationFactor: -1,
  lingerMs: 3,
  compression: 'none' as KafkaCompression,
  batchBytesMax: 900_000,
  requestBytesMax: 4 * megabyte,
  pendingBytesMax: 64 * megabyte,
  appendTimeoutMs: 10_000,
  requestTimeoutMs: 5000,
  connectTimeoutMs: 3000,
  startTimeoutMs: 10_000,
  queueRecordsMax: 50_000,
  queueBytesMax: 64 * megabyte,
  fetchMinBytes: megabyte,
  heartbeatMs: 250,
  sessionTimeoutMs: 3000,
  commitMs: 1000,
  stallMs: 10_000,
};

/** With every default filled in. */
export type KafkaSettings = typeof defaults & Pick<KafkaEventLogOptions, 'brokers' | 'log'> & { readonly clock: Clock };

export function kafkaSettingsFrom(options: KafkaEventLogOptions): KafkaSettings {
  return { ...defaults, clock: systemClock, ...options };
}
