import { commonSettings } from '@tailrace/platform/settings';
import { z } from 'zod';
import { streamUrlsFrom } from './stream-urls.ts';

export const serviceName = 'dashboard';

const isStreamUrl = z.url({ protocol: /^wss?$/ });

/** Settings of the dashboard's server. */
export const configSchema = z.strictObject({
  ...commonSettings,
  host: z.string().min(1).default('0.0.0.0').describe('Address to listen on for browsers.'),
  port: z.int().min(0).max(65_535).default(8080).describe('Port for browsers; 0 takes a free one.'),
  streamUrl: z
    .string()
    .max(2048)
    .refine((text) => streamUrlsFrom(text).every((url) => isStreamUrl.safeParse(url).success), {
      error: 'expected URLs with ws:// or wss://, separated by commas',
    })
    .default('')
    .describe(
      'Where browsers find the streams, such as wss://streams.example.org. Without a load balancer, several URLs of one installation, separated by commas: a page that cannot reach one tries the next. Empty: port 8081 of the host in their address bar.',
    ),
  publicIngestUrl: z
    .union([z.literal(''), z.url({ protocol: /^https?$/ })])
    .default('')
    .describe(
      'Where devices find ingest, such as https://ingest.example.org, for the command that the page shows while nothing reports; empty: port 8082 of the host in the address bar.',
    ),
  controlUrl: z
    .union([z.literal(''), z.url({ protocol: /^https?$/ })])
    .default('')
    .describe(
      'Where browsers find the API of control, such as https://control.example.org, from which the page has scenes; alarms and commands come over the streams. Empty: the page has no scenes.',
    ),
  demoToken: z
    .string()
    .max(8192)
    .default('')
    .meta({ secret: true })
    .describe(
      'Sent to every browser that opens the page: for demonstrations, with rights that anyone may have. Empty: none.',
    ),
});

export type DashboardConfig = z.output<typeof configSchema>;
