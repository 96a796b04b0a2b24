import { commonSettings, keySourceRule, tokenSettings } from '@tailrace/platform/settings';
import { z } from 'zod';

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
    .describe('What the names of the topics begin with. Ingest has the same.'),
  telemetryPartitions: z
    .int()
    .min(1)
    .max(1024)
    .default(12)
    .describe('Partitions of the telemetry topic when it is created. Ingest has the same.'),
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
    .describe('A client that is silent this long after a ping is let go with 4001. Less than heartbeatMs.'),
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
  messageBytesMax: z
    .int()
    .min(1_024)
    .max(1_048_576)
    .default(16_384)
    .describe('Size of a client message; beyond it 4413.'),
  socketBytesMax: z
    .int()
    .min(65_536)
    .default(4_194_304)
    .describe('Bytes that may wait in one socket; a client that lets more wait is let go with 4002.'),
  snapshotBytesMax: z
    .int()
    .min(65_536)
    .default(2_097_152)
    .describe('Size of the last values of one subscription; beyond it limit_reached. Below socketBytesMax.'),
  recoveryRecordsMax: z
    .int()
    .min(0)
    .default(20_000)
    .describe('Newest records of a partition that a new owner reads back to know the last values.'),
  idsMax: z
    .int()
    .min(0)
    .default(20_000)
    .describe('Message IDs remembered a partition, so that a repeated report is delivered once.'),
  windowBytesMax: z
    .int()
    .min(0)
    .default(8_388_608)
    .describe(
      'Newest reports of a partition kept in memory, for clients that come back: what is older is read from the log.',
    ),
  windowMs: z.int().min(0).default(60_000).describe('Age of the reports kept for clients that come back.'),
  resumeRecordsMax: z
    .int()
    .min(0)
    .default(50_000)
    .meta({ unit: 'records' })
    .describe(
      'Records of a partition read from the log for one client that comes back; who is further behind gets last values, and is told.',
    ),
  resumeBytesMax: z
    .int()
    .min(65_536)
    .default(2_097_152)
    .describe('Size of what one subscription is given of what it missed. Below socketBytesMax.'),
  nodeSilenceMs: z.int().min(1_000).default(6_000).describe('A node silent for this long is absent.'),
  interestLeaseMs: z
    .int()
    .min(11_000)
    .default(30_000)
    .describe('Interest of another node that is not renewed this long lapses. It is renewed every 10 s.'),
  askDeadlineMs: z.int().min(100).default(5_000).describe("For an owner's answer."),
  frameSilenceMs: z
    .int()
    .min(1_500)
    .default(3_000)
    .describe('An owner that sends no frame this long is asked again. It sends one a second at least.'),
  heldBytesMax: z
    .int()
    .min(1_048_576)
    .default(16_777_216)
    .describe("Frames of one partition held while an owner's answer is under way."),
  drainMs: z.int().min(0).default(5_000).describe('Span over which clients are let go when the node stops.'),
};

/** Settings of the fanout service. */
export const configSchema = z
  .strictObject({
    ...commonSettings,
    ...fanoutSettings,
    kafkaBrokers: z
      .array(z.string())
      .min(1)
      .default(['localhost:9092'])
      .describe('Kafka brokers to begin with, host:port.'),
    natsServers: z
      .array(z.string())
      .min(1)
      .default(['nats://localhost:4222'])
      .describe('NATS servers, nats://host:port.'),
  })
  .refine(...keySourceRule);

export type FanoutConfig = z.output<typeof configSchema>;

/** What `createFanout` reads of them. */
export type FanoutSettings = z.output<z.ZodObject<typeof fanoutSettings>>;
