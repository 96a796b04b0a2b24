import { kafkaRules, kafkaSettings } from '@tailrace/platform/broker-settings';
import { commonSettings } from '@tailrace/platform/settings';
import { z } from 'zod';

export const serviceName = 'alarms';

/** What the alarms service itself reads, wherever it runs: as a process of its own, or in standalone. */
export const alarmsSettings = {
  node: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, 'letters, digits, _ and - only, at most 64')
    .default('alarms-0')
    .describe('Stable name of this node, the same after a restart: partitions are placed by it.'),
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
  flushMs: z
    .int()
    .min(0)
    .max(1_000)
    .default(10)
    .describe('How long reports are collected before they are evaluated together. A smaller value costs more CPU.'),
  checkpointMs: z
    .int()
    .min(100)
    .max(600_000)
    .default(5_000)
    .describe('Interval of the checkpoints of a partition: the most that the next owner evaluates again.'),
  slackMs: z
    .int()
    .min(0)
    .max(60_000)
    .default(250)
    .describe(
      'How long after a report of one ingest process an earlier one of another may arrive. Delays that expire without a report expire this much later.',
    ),
  graceMs: z
    .int()
    .min(0)
    .max(600_000)
    .default(15_000)
    .describe(
      'After an interruption of the log: how long devices may take to report again. The time after which a device is stale counts from the end of it.',
    ),
  lookbackMs: z
    .int()
    .min(0)
    .max(86_400_000)
    .default(60_000)
    .describe('Without a checkpoint, reports that are at most this old are evaluated at the start.'),
  pairsMax: z
    .int()
    .min(1)
    .max(50_000_000)
    .default(1_000_000)
    .meta({ unit: 'pairs' })
    .describe('Pairs of a rule and a device on this node; devices beyond it are not evaluated, and counted.'),
  areaLevels: z
    .int()
    .min(0)
    .max(7)
    .default(2)
    .meta({ unit: 'segments' })
    .describe(
      'Segments of the path of an area, whose alarms are counted together: 2 is plant1.line3 for plant1.line3.press7. A flood of them is an alarm of plant1.line3.alarm_flood. 0: no areas, and no floods.',
    ),
  unwrittenMax: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(20_000)
    .meta({ unit: 'transitions' })
    .describe('Transitions that the log has not taken yet; beyond it this node evaluates no further reports.'),
  drainMs: z.int().min(0).default(5_000).describe('How long a stop may take to write transitions and checkpoints.'),
};

/** Settings of the alarms service. */
export const configSchema = z
  .strictObject({ ...commonSettings, ...alarmsSettings, ...kafkaSettings })
  .superRefine(kafkaRules);

export type AlarmsConfig = z.output<typeof configSchema>;

/** What `createAlarms` reads of them. */
export type AlarmsSettings = z.output<z.ZodObject<typeof alarmsSettings>>;
