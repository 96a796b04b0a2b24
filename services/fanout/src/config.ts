import { kafkaRules, kafkaSettings, natsRules, natsSettings } from '@tailrace/platform/broker-settings';
import { commonSettings, keySourceRule, tokenSettings } from '@tailrace/platform/settings';
import { z } from 'zod';
import { accessSettings } from './access/access-settings.ts';
import { workSettings } from './catch-up/work-settings.ts';
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
    .describe('Where clients reach this very node, ws:// or wss://. Empty: ws://<host name>:<port>.'),
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
    .describe('How long reports gather before they go out together. Less is sooner, and costs more CPU a report.'),
  heartbeatMs: z
    .int()
    .min(2_000)
    .max(600_000)
    .multipleOf(1_000)
    .default(30_000)
    .describe('A ping goes to each client this often.'),
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
    .describe('For the first message to bring a token; then 4408.'),
  joinDeadlineMs: z
    .int()
    .min(100)
    .max(60_000)
    .default(10_000)
    .describe('How long a subscription waits for the owners of its partitions.'),
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
  messageBytesMax: z
    .int()
    .min(1_024)
    .max(1_048_576)
    .default(16_384)
    .describe('Size of a client message; beyond it 4413.'),
  socketHighWaterBytes: z
    .int()
    .min(65_536)
    .default(262_144)
    .describe(
      'Bytes that may wait in one socket; a client that lets more wait gets what comes conflated until it has read enough.',
    ),
  socketBytesMax: z
    .int()
    .min(65_536)
    .default(4_194_304)
    .describe(
      'Bytes that a socket takes; a client to which more is sent at once is terminated. Above socketHighWaterBytes by what may be published at once.',
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
      'Devices that this node knows, some 0.8 KB each; reports of one more are delivered, and it has no last values and no presence.',
    ),
  devicesPerTenantMax: z
    .int()
    .min(1)
    .max(50_000_000)
    .default(200_000)
    .meta({ unit: 'devices' })
    .describe('The same of one tenant, the first segment of a path.'),
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
      'Memory for the last values of all devices, of which one tenant may take two thirds; beyond it new devices are not known, and a device that grows loses its oldest. 0: two fifths of the heap.',
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
      'A report is a repetition, and not delivered, if its device sent one with the same ID that was appended at most this long before. The same on all nodes. More than senders retry: the SDK gives up before.',
    ),
  idsMax: z
    .int()
    .min(0)
    .max(100_000_000)
    .default(2_000_000)
    .meta({ unit: 'ids' })
    .describe(
      'Message IDs that a node remembers, of all its partitions, about 16 bytes each. With more in idWindowMs the oldest of the partition with most are forgotten: its window is shorter.',
    ),
  windowBytesMax: z
    .int()
    .min(0)
    .default(8_388_608)
    .describe(
      'Newest reports of a partition kept in memory, with what it takes to hold them, for clients that come back: what is older is read from the log.',
    ),
  windowMs: z.int().min(0).default(60_000).describe('Age of the reports kept for clients that come back.'),
  resumeRecordsMax: z
    .int()
    .min(0)
    .default(50_000)
    .meta({ unit: 'records' })
    .describe(
      'Records of a partition read from the log for one client that comes back; one that is further behind gets last values, and is notified.',
    ),
  resumeBytesMax: z
    .int()
    .min(65_536)
    .default(2_097_152)
    .describe('Size of what one subscription resumes with, and of what is conflated at a time for a slow one.'),
  viewsPerConnectionMax: z
    .int()
    .min(1)
    .max(100_000)
    .default(64)
    .meta({ unit: 'views' })
    .describe(
      'Subscriptions of one connection with maxRate, deadband, tags, delta or align; beyond it limit_reached. Without those there is always room.',
    ),
  keyFrameMs: z
    .int()
    .min(100)
    .max(3_600_000)
    .default(10_000)
    .describe('With delta, a reading that does not change is sent again this often, as long as its device sends it.'),
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
    .describe('Reports that wait for maxRate, all views together; beyond it they go at once.'),
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
    .describe('Interest of another node that is not renewed this long lapses. It is renewed every 10 s.'),
  ownerRequestTimeoutMs: z.int().min(100).default(5_000).describe("For an owner's answer."),
  frameTimeoutMs: z
    .int()
    .min(1_500)
    .default(3_000)
    .describe('An owner that sends no frame this long is asked again. It sends one a second at least.'),
  heldBytesMax: z
    .int()
    .min(1_048_576)
    .default(16_777_216)
    .describe("Frames of one partition held while an owner's answer is under way."),
  settleMs: z
    .int()
    .min(0)
    .max(600_000)
    .default(5_000)
    .describe(
      'How long a device must have been with its new owner before clients that are here are asked to go there.',
    ),
  migrationsPerSecond: z
    .number()
    .positive()
    .max(10_000)
    .default(50)
    .describe(
      'Clients of this node asked to go to another one a second, at most, after partitions have changed hands.',
    ),
  drainMs: z.int().min(0).default(5_000).describe('Span over which clients are disconnected when the node stops.'),
  handoverMs: z
    .int()
    .min(100)
    .max(20_000)
    .default(8_000)
    .describe('How long a node that stops goes on serving its partitions until others do.'),
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
