import { isPattern } from '@tailrace/protocol/pattern';
import { reportLimits } from '@tailrace/protocol/report-limits';
import { z } from 'zod';
import { sparkplugSchema } from './sparkplug-settings.ts';

const template = z.string().min(1).max(256);
const pointer = z
  .string()
  .max(256)
  .regex(/^(\/([^~/]|~[01])*)*$/, 'expected a JSON pointer (RFC 6901), as in /meta/time');
const unit = z.string().min(1).max(reportLimits.unitCharactersMax);
const path = z.string().min(1).max(4_096);

const reportMapSchema = z.strictObject({
  /** Our JSON; with the content type application/x-protobuf of MQTT 5 a `ReportBatch`. */
  payload: z.literal('report'),
  /** For reports without a device. */
  device: template.optional(),
  replace: z.boolean().default(false),
});

const protobufMapSchema = z.strictObject({
  /** Always a `ReportBatch` or an `IoTData`. */
  payload: z.literal('protobuf'),
});

const jsonMapSchema = z.strictObject({
  payload: z.literal('json'),
  device: template,
  /** Whether characters that a device path cannot contain become `_`. */
  replace: z.boolean().default(false),
  /** The one value; then `tag` is its name. Without it each number, boolean and text is a reading. */
  value: pointer.optional(),
  tag: template.optional(),
  unit: unit.optional(),
  /** The names to take; default all. */
  only: z.array(z.string().min(1).max(reportLimits.tagCharactersMax)).min(1).max(1_000).optional(),
  units: z.record(z.string(), unit).optional(),
  time: pointer.optional(),
  timeUnit: z.enum(['ms', 's', 'us', 'ns', 'iso']).default('ms'),
  id: pointer.optional(),
});

const numberMapSchema = z.strictObject({
  payload: z.literal('number'),
  device: template,
  replace: z.boolean().default(false),
  tag: template,
  unit: unit.optional(),
  /** Whether what is no number and no boolean is a text. */
  text: z.boolean().default(false),
});

const mapSchema = z.discriminatedUnion('payload', [reportMapSchema, protobufMapSchema, jsonMapSchema, numberMapSchema]);

const subscriptionSchema = z.strictObject({
  filter: z.string().min(1).max(1_024),
  qos: z.union([z.literal(0), z.literal(1)]).default(1),
  /** Whether messages that the broker has retained are taken: never, or once in the life of the installation. */
  retained: z.enum(['never', 'once']).default('never'),
  map: mapSchema,
  /** For `--check-config`. */
  samples: z
    .array(z.strictObject({ topic: z.string().min(1).max(1_024), payload: z.string().max(65_536) }))
    .max(20)
    .default([]),
});

const tlsSchema = z.strictObject({
  caFile: path.optional(),
  certFile: path.optional(),
  keyFile: path.optional(),
  /** Name that the certificate of the broker must have. Default: the host of the URL. */
  serverName: z.string().min(1).max(253).optional(),
});

const bridgeSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9-]{1,32}$/, 'expected 1 to 32 of a-z, 0-9 and -'),
  url: z.string().max(512).refine(isBrokerUrl, 'expected mqtt://host:port or mqtts://host:port, without anything else'),
  version: z.union([z.literal(4), z.literal(5)]).default(5),
  username: z.string().max(256).optional(),
  passwordFile: path.optional(),
  tls: tlsSchema.default({}),
  clientId: z
    .string()
    .regex(/^[\x21-\x7e]{1,128}$/, 'expected 1 to 128 printable characters of ASCII')
    .optional(),
  /** The ingest node that runs the bridge; default: all. A bridge that is not shared needs one. */
  node: z.string().min(1).max(253).optional(),
  /** Name of the shared subscription; empty: not shared. */
  share: z
    .string()
    .regex(/^[^/+#\0]{0,64}$/, 'expected at most 64 characters, and none of / + #')
    .optional(),
  sessionExpiryMs: z.int().min(60_000).max(2_592_000_000).default(3_600_000),
  receiveMaximum: z.int().min(1).max(65_535).default(2_048),
  /** Patterns of the devices of which this bridge may send reports. */
  publish: z.array(z.string().refine(isPattern, 'expected a pattern, such as plant1.>')).min(1).max(256),
  subscriptions: z.array(subscriptionSchema).max(1_000).default([]),
  sparkplug: sparkplugSchema.optional(),
});

export const bridgesMax = 16;
/** The file of bridges. */
export const bridgesFileSchema = z.strictObject({ bridges: z.array(bridgeSchema).min(1).max(bridgesMax) });

export type SubscriptionSettings = z.output<typeof subscriptionSchema>;
export type MapSettings = SubscriptionSettings['map'];
export type JsonMapSettings = z.output<typeof jsonMapSchema>;
/** A bridge as the file has it. */
export type WrittenBridge = z.output<typeof bridgeSchema>;
export type BridgeSettings = Omit<WrittenBridge, 'share'> & { readonly share: string };

function isBrokerUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'mqtt:' && url.protocol !== 'mqtts:') || url.hostname === '') return false;
  return url.username === '' && url.password === '' && url.search === '' && /^\/?$/.test(url.pathname);
}
