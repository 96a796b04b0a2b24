import { assertTopicFilter } from '@tailrace/mqtt/topic';
import { type AddError, parseSchemaFile, schemaFileText } from '@tailrace/platform/schema-file';
import { TailraceError } from '@tailrace/protocol/error';
import { isPattern } from '@tailrace/protocol/pattern';
import { reportLimits } from '@tailrace/protocol/report-limits';
import { z } from 'zod';
import { MessageMapper } from './message-mapper.ts';
import { sparkplugSchema } from './sparkplug-settings.ts';
import { filtersOverlap } from './topic-filters.ts';

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
const fileSchema = z.strictObject({ bridges: z.array(bridgeSchema).min(1).max(bridgesMax) });

export type SubscriptionSettings = z.output<typeof subscriptionSchema>;
export type MapSettings = SubscriptionSettings['map'];
export type JsonMapSettings = z.output<typeof jsonMapSchema>;
export type BridgeSettings = Omit<z.output<typeof bridgeSchema>, 'share'> & { readonly share: string };

const fileName = 'mqttBridgesFile';

/**
 * Parses the file of bridges. Throws `invalid_config` with all errors, one a line: the path of the field, what was
 * expected, and the value. Unknown keys are errors.
 */
export function bridgesFrom(text: string): readonly BridgeSettings[] {
  const { bridges } = parseSchemaFile(fileName, fileSchema, text, (content, add) => check(content.bridges, add));
  return bridges.map((bridge) => ({ ...bridge, share: shareOf(bridge) }));
}

/** Reads and parses the file of bridges; none without a path. Throws `invalid_config`, also if it cannot be read. */
export function readBridgesFile(filePath: string): readonly BridgeSettings[] {
  return filePath === '' ? [] : bridgesFrom(schemaFileText(fileName, filePath));
}

/** Host, port and TLS of a broker's URL. */
export function brokerAddressOf(url: string): { host: string; port: number; isTls: boolean } {
  const { protocol, hostname, port } = new URL(url);
  const isTls = protocol === 'mqtts:';
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || (isTls ? 8883 : 1883)), isTls };
}

/** MQTT 3.1.1 has no shared subscriptions. */
function shareOf({ version, share }: z.output<typeof bridgeSchema>): string {
  return share ?? (version === 5 ? 'tailrace' : '');
}

function isBrokerUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'mqtt:' && url.protocol !== 'mqtts:') || url.hostname === '') return false;
  return url.username === '' && url.password === '' && url.search === '' && /^\/?$/.test(url.pathname);
}

function check(bridges: readonly z.output<typeof bridgeSchema>[], add: AddError): void {
  const names = new Set<string>();
  for (const [index, bridge] of bridges.entries()) {
    const at = ['bridges', index];
    const { name, subscriptions, sparkplug, tls, url, version, share, passwordFile, username } = bridge;
    if (names.has(name)) add([...at, 'name'], `expected each name once, got ${name} again`);
    names.add(name);
    if (subscriptions.length === 0 && sparkplug === undefined)
      add(at, 'expected subscriptions, sparkplug, or both, got neither');
    if (version === 4 && (share ?? '') !== '')
      add([...at, 'share'], 'expected none with version 4: MQTT 3.1.1 has no shared subscriptions');
    if ((tls.certFile === undefined) !== (tls.keyFile === undefined))
      add([...at, 'tls'], 'expected certFile and keyFile together');
    if (Object.keys(tls).length > 0 && !url.startsWith('mqtts:'))
      add([...at, 'tls'], 'expected it with an mqtts:// url only: nothing is encrypted otherwise');
    if (passwordFile !== undefined && username === undefined)
      add([...at, 'username'], 'expected one with passwordFile');
    checkSubscriptions(bridge, [...at, 'subscriptions'], add);
  }
}

function checkSubscriptions(
  { subscriptions, sparkplug }: z.output<typeof bridgeSchema>,
  at: readonly PropertyKey[],
  add: AddError,
): void {
  for (const [index, subscription] of subscriptions.entries()) {
    const { filter, map } = subscription;
    const own = [...at, index];
    try {
      assertTopicFilter(filter, 4);
    } catch (error) {
      add([...own, 'filter'], (error as Error).message.replace(/^topic filter: /, ''));
      continue;
    }
    if (filter.startsWith('$share/')) add([...own, 'filter'], 'expected it without $share: the bridge adds the share');
    if (filter.startsWith('spBv1.0/') || (sparkplug !== undefined && filtersOverlap(filter, 'spBv1.0/#')))
      add([...own, 'filter'], 'expected none with topics of Sparkplug: the setting sparkplug takes them');
    const overlapping = subscriptions.findIndex(
      (other, place) => place < index && filtersOverlap(other.filter, filter),
    );
    if (overlapping >= 0) {
      const other = subscriptions[overlapping]!.filter;
      add([...own, 'filter'], `expected no overlap with ${other}: a broker may send a message once for each`);
    }
    if (map.payload === 'json' && (map.value === undefined) !== (map.tag === undefined))
      add([...own, 'map'], 'expected value and tag together');
    if (map.payload === 'json' && map.value !== undefined && (map.only !== undefined || map.units !== undefined))
      add([...own, 'map'], 'expected neither only nor units with value');
    checkTemplates(subscription, own, add);
  }
}

function checkTemplates(subscription: SubscriptionSettings, at: readonly PropertyKey[], add: AddError): void {
  try {
    new MessageMapper([subscription]);
  } catch (error) {
    if (!(error instanceof TailraceError)) throw error;
    add([...at, 'map'], error.message);
  }
}
