import { kafkaRules, kafkaSettings, natsRules, natsSettings } from '@tailrace/platform/broker-settings';
import { commonSettings, keySourceRule, tokenSettings } from '@tailrace/platform/settings';
import { z } from 'zod';
import { accessSettings } from './access/access-settings.ts';
import { workSettings } from './catch-up/work-settings.ts';
import { eventSettings } from './events/event-settings.ts';
import { freshnessSettings } from './presence/freshness-settings.ts';

export const serviceName = 'fanout';

/** What a fanout node itself reads, wherever it runs: as a process of its own, or in standalone. */
export const fanoutSettings = {
  host: z.string().default('0.0.0.0').describe('Address to listen on for clients.'),
  port: z.int().min(0).max(65_535).default(8081).describe('Port for clients; 0 takes a free one.'),
  node: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, 'letters, digits, _ and - only, at most 64')
    .default('fanout-0')
    .describe('Stable name of this node, the same after a restart: partitions are placed by it.'),
  publicUrl: z
    .string()
    .default('')
    .describe('Where clients reach this one node, ws:// or wss://. Empty: ws://<host name>:<port>.'),
  topicPrefix: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,100}$/, 'letters, digits, . _ and - only, at most 100')
    .default('tailrace')
    .describe('Prefix of the names of the topics. The same as in ingest.'),
  telemetryPartitions: z
    .int()
    .min(1)
    .max(1024)
    .default(12)
    .describe('Partitions of the telemetry topic when it is created. The same as in ingest.'),
  retentionMs: z
    .int()
    .min(60_000)
    .default(7 * 24 * 3_600_000)
    .describe('How long the log keeps reports, when the topic is created.'),
  retentionBytes: z
    .int()
    .min(1_048_576)
    .default(1_073_741_824)
    .describe('Size of a partition, when the topic is created.'),
  ...tokenSettings,
  flushMs: z
    .int()
    .min(0)
    .max(1_000)
    .default(20)
    .describe(
      'How long reports are collected before they are sent together. A smaller value lowers the latency, and costs more CPU per report.',
    ),
  heartbeatMs: z
    .int()
    .min(2_000)
    .max(600_000)
    .multipleOf(1_000)
    .default(30_000)
    .describe('Interval of the pings to each client.'),
  pongDeadlineMs: z
    .int()
    .min(1_000)
    .max(60_000)
    .multipleOf(1_000)
    .default(10_000)
    .describe('A client that sends nothing this long after a ping is disconnected with 4001. Less than heartbeatMs.'),
  authDeadlineMs: z
    .int()
    .min(100)
    .max(60_000)
    .default(10_000)
    .describe('How long a client may take to send its token in the first message; then 4408.'),
  joinDeadlineMs: z
    .int()
    .min(100)
    .max(60_000)
    .default(10_000)
    .describe('How long a subscription waits for the owners of its partitions; then unavailable.'),
  connectionsMax: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(15_000)
    .describe('Clients on this node; beyond it 503. Keep below the limit of open files.'),
  subscriptionsMax: z
    .int()
    .min(1)
    .max(100_000)
    .default(1_000)
    .describe('Subscriptions of one connection; beyond it limit_reached.'),
  ...accessSettings,
  ...freshnessSettings,
  ...workSettings,
  ...eventSettings,
  messageBytesMax: z
    .int()
    .min(1_024)
    .max(1_048_576)
    .default(16_384)
    .describe('Bytes of a client message; beyond it 4413.'),
  socketHighWaterBytes: z
    .int()
    .min(65_536)
    .default(262_144)
    .describe(
      'Bytes that may wait in one socket; beyond it the client receives conflated reports until it has read enough.',
    ),
  socketBytesMax: z
    .int()
    .min(65_536)
    .default(4_194_304)
    .describe(
      'Bytes that a socket accepts; a connection to which more is sent at once is terminated. Above socketHighWaterBytes by what may be published at once.',
    ),
  repliesBytesMax: z
    .int()
    .min(16_384)
    .default(262_144)
    .describe('Replies that wait for one client whose socket takes none; beyond it 4002.'),
  lagMsMax: z
    .int()
    .min(100)
    .max(3_600_000)
    .default(30_000)
    .describe('How long a client may lag, or read nothing of what waits for it; then 4002.'),
  replaysMax: z
    .int()
    .min(0)
    .max(100_000)
    .default(100)
    .describe('Replays with a speed on this node at once; beyond it limit_reached.'),
  devicesMax: z
    .int()
    .min(1)
    .max(50_000_000)
    .default(500_000)
    .meta({ unit: 'devices' })
    .describe(
      'Devices that this node knows, some 0.8 KB each. Reports of further devices are delivered; these devices have no last values and no presence.',
    ),
  devicesPerTenantMax: z
    .int()
    .min(1)
    .max(50_000_000)
    .default(200_000)
    .meta({ unit: 'devices' })
    .describe('The same for one tenant, the first segment of a path.'),
  tagsPerDeviceMax: z
    .int()
    .min(1)
    .max(100_000)
    .default(1_000)
    .meta({ unit: 'tags' })
    .describe('Tags of one device whose last value is kept; beyond it the one reported longest ago is forgotten.'),
  lastValuesBytesMax: z
    .int()
    .min(0)
    .default(0)
    .describe(
      'Memory for the last values of all devices; one tenant may use two thirds of it. Beyond it new devices have no last values, and a device that grows loses its oldest. 0: two fifths of the heap.',
    ),
  recoveryRecordsMax: z
    .int()
    .min(0)
    .default(20_000)
    .describe('Newest records of a partition that a new owner reads back to know the last values.'),
  idWindowMs: z
    .int()
    .min(1_000)
    .max(3_600_000)
    .default(120_000)
    .describe(
      'A report is a duplicate, and not delivered, if its device sent one with the same ID that was appended at most this long before. The same on all nodes. Longer than senders retry: the SDK stops earlier.',
    ),
  idsMax: z
    .int()
    .min(0)
    .max(100_000_000)
    .default(2_000_000)
    .meta({ unit: 'ids' })
    .describe(
      'Message IDs that a node remembers for all its partitions, about 16 bytes each. Beyond it the node forgets the oldest of the partition with most, whose window is then shorter.',
    ),
  windowBytesMax: z
    .int()
    .min(0)
    .default(8_388_608)
    .describe(
      'Memory for the newest reports of a partition, overhead included, for clients that reconnect. Older reports are read from the log.',
    ),
  windowMs: z
    .int()
    .min(0)
    .default(60_000)
    .describe('Maximum age of the reports in memory, for clients that reconnect.'),
  resumeRecordsMax: z
    .int()
    .min(0)
    .default(50_000)
    .meta({ unit: 'records' })
    .describe(
      'Records of a partition read from the log for one client that reconnects; a client that is further behind receives the missing range and last values.',
    ),
  resumeBytesMax: z
    .int()
    .min(65_536)
    .default(2_097_152)
    .describe(
      'Bytes of the backlog with which one subscription resumes, and of the reports conflated at a time for a slow client.',
    ),
  viewsPerConnectionMax: z
    .int()
    .min(1)
    .max(100_000)
    .default(64)
    .meta({ unit: 'views' })
    .describe(
      'Subscriptions of one connection with maxRate, deadband, tags, delta or align; beyond it limit_reached. Subscriptions without options do not count.',
    ),
  keyFrameMs: z
    .int()
    .min(100)
    .max(3_600_000)
    .default(10_000)
    .describe('With delta: interval at which an unchanged reading is sent again, as long as its device sends it.'),
  lastSentReadingsMax: z
    .int()
    .min(0)
    .default(1_000_000)
    .meta({ unit: 'readings' })
    .describe(
      'Readings remembered for deadband and delta, about 150 bytes each; beyond it those of the device known longest are forgotten, and sent again.',
    ),
  pacedBytesMax: z
    .int()
    .min(1_048_576)
    .default(67_108_864)
    .describe('Reports that wait for maxRate, all views together; beyond it they are sent at once.'),
  suspectMs: z
    .int()
    .min(1_250)
    .max(60_000)
    .default(1_500)
    .describe(
      'A node that announces nothing for this long is suspect: others serve its partitions until it announces again, or the group has assigned them. Nodes announce every 500 ms.',
    ),
  nodeTimeoutMs: z.int().min(1_000).default(6_000).describe('A node that announces nothing for this long is absent.'),
  interestLeaseMs: z
    .int()
    .min(11_000)
    .default(30_000)
    .describe('An owner drops interest of another node that is not renewed for this long. Nodes renew it every 10 s.'),
  ownerRequestTimeoutMs: z.int().min(100).default(5_000).describe('How long a node waits for the reply of an owner.'),
  frameTimeoutMs: z
    .int()
    .min(1_500)
    .default(3_000)
    .describe(
      'After this time without a frame of the owner, a node requests its interest again. An owner sends at least one frame a second.',
    ),
  heldBytesMax: z
    .int()
    .min(1_048_576)
    .default(16_777_216)
    .describe('Frames of one partition that are held until the owner replies.'),
  settleMs: z
    .int()
    .min(0)
    .max(600_000)
    .default(5_000)
    .describe('How long a new owner must have had a partition before clients of this node are asked to move there.'),
  migrationsPerSecond: z
    .number()
    .positive()
    .max(10_000)
    .default(50)
    .describe('Clients of this node that are asked per second to move to another node, after a change of owners.'),
  drainMs: z.int().min(0).default(5_000).describe('Span over which clients are disconnected when the node stops.'),
  handoverMs: z
    .int()
    .min(100)
    .max(20_000)
    .default(8_000)
    .describe('How long a node that stops continues to serve its partitions until others do.'),
};

/** Settings of the fanout service. */
export const configSchema = z
  .strictObject({
    ...commonSettings,
    ...fanoutSettings,
    ...kafkaSettings,
    ...natsSettings,
  })
  .refine(...keySourceRule)
  .superRefine(kafkaRules)
  .superRefine(natsRules);

export type FanoutConfig = z.output<typeof configSchema>;

/** What `createFanout` reads of them. */
export type FanoutSettings = z.output<z.ZodObject<typeof fanoutSettings>>;
