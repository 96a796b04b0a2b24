import { kafkaRules, kafkaSettings, natsRules, natsSettings } from '@tailrace/platform/broker-settings';
import { databaseRules, databaseSettings } from '@tailrace/platform/database-settings';
import {
  commonSettings,
  credentialSettings,
  keySourceRule,
  proxySettings,
  revocationSettings,
  tokenSettings,
} from '@tailrace/platform/settings';
import { z } from 'zod';
import { markedCommandsFrom } from './commands/marked-commands.ts';
import { notificationRules, notificationSettings } from './notifications/notification-settings.ts';

export const serviceName = 'control';

/** Settings that control reads in a process of its own and in standalone. */
export const controlSettings = {
  host: z.string().min(1).default('0.0.0.0').describe('Address to listen on for the API.'),
  port: z.int().min(0).max(65_535).default(8080).describe('Port of the API; 0 takes a free one.'),
  topicPrefix: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,100}$/, 'letters, digits, . _ and - only, at most 100')
    .default('tailrace')
    .describe('Prefix of the names of the topics. The same as in ingest.'),
  telemetryPartitions: z
    .int()
    .min(1)
    .max(1_024)
    .default(12)
    .describe('Partitions of the topic of events, which has as many as the telemetry topic. The same as in ingest.'),
  ...tokenSettings,
  ...proxySettings,
  ...revocationSettings,
  ...credentialSettings,
  connectionsMax: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(1_000)
    .describe(
      'Connections of API clients at once. A new one is always accepted: beyond the limit it replaces one that has not sent a whole request, or is idle.',
    ),
  bodyBytesMax: z
    .int()
    .min(1_024)
    .max(16_777_216)
    .default(1_048_576)
    .describe("A request's body; beyond it 413. A file of devices to import may need more."),
  origins: z
    .array(z.string().regex(/^(null|https?:\/\/[A-Za-z0-9.:[\]-]+)$/, 'https://host:port without a path'))
    .max(256)
    .default([])
    .describe(
      'Web pages whose scripts may send requests (CORS), as https://host:port; empty: all, because a request needs a token in any case.',
    ),
  markedCommands: z
    .string()
    .max(65_536)
    .superRefine((text, context) => {
      try {
        markedCommandsFrom(text);
      } catch (error) {
        context.addIssue({ code: 'custom', message: (error as Error).message.replace(/^markedCommands: /, '') });
      }
    })
    .default('')
    .describe(
      'Commands that a second person must confirm, as a JSON array: [{"pattern":"plant1.>","names":["stop"]}]; without names all commands of the devices. Empty: none.',
    ),
  openCommandsMax: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(100_000)
    .meta({ unit: 'commands' })
    .describe('Commands that are not final, about 1 kB each in PostgreSQL; beyond it new ones are refused with 503.'),
  deviceOpenCommandsMax: z
    .int()
    .min(1)
    .max(100_000)
    .default(100)
    .meta({ unit: 'commands' })
    .describe('The same of one device, which may be away; beyond it 429.'),
  subjectCommandsPerSecond: z
    .number()
    .min(0.1)
    .max(100_000)
    .default(100)
    .describe('Commands of one subject a second, with the burst of ten seconds; beyond it 429.'),
  unconfirmedMs: z
    .int()
    .min(10_000)
    .max(86_400_000)
    .default(120_000)
    .describe(
      'How long an unconfirmed command waits for the report of its device, which may come with its next session; then unconfirmed is final.',
    ),
  commandRetentionMs: z
    .int()
    .min(86_400_000)
    .max(10 * 365 * 86_400_000)
    .default(30 * 86_400_000)
    .describe(
      'How long final commands are kept, at least a day. A sender that uses an ID again after that submits a new command. The audit keeps them for good.',
    ),
  alarmRetentionMs: z
    .int()
    .min(86_400_000)
    .max(10 * 365 * 86_400_000)
    .default(31 * 86_400_000)
    .describe(
      'How long transitions of alarms are kept, at least a day: about 1 kB each in PostgreSQL. The default is for the numbers of a whole month. Alarms that are not normal are kept in any case.',
    ),
  ...notificationSettings,
  outboxRowsMax: z
    .int()
    .min(1_000)
    .max(10_000_000)
    .default(100_000)
    .meta({ unit: 'rows' })
    .describe(
      'Records that wait for the log, which is away or slow, about 1 kB each in PostgreSQL; beyond it commands are refused with 503.',
    ),
};

export type ControlSettings = Readonly<z.output<z.ZodObject<typeof controlSettings>>>;

/** All settings of a control process, from its environment. */
export const configSchema = z
  .strictObject({ ...commonSettings, ...controlSettings, ...databaseSettings, ...kafkaSettings, ...natsSettings })
  .superRefine(databaseRules)
  .superRefine(kafkaRules)
  .superRefine(natsRules)
  .superRefine(notificationRules)
  .refine(...keySourceRule);

export type ControlConfig = Readonly<z.output<typeof configSchema>>;
