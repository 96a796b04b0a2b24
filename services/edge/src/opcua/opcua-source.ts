import { z } from 'zod';
import type { OnSourceError } from '../modbus/modbus-source.ts';
import type { FilterOptions } from '../rules/tag-filter.ts';
import type { SourceTag } from '../source.ts';
import { devicePath, filterSchema, sourceName, tagName, unitName, writeSchema } from '../tag-schema.ts';
import type { ConnectedTag } from './connection.ts';
import { isNodeId } from './node-id.ts';
import { profileNames } from './server-profile.ts';
import { queueMax } from './subscription-plan.ts';
import type { StatefulTag } from './tag-states.ts';

/*
 * OPC UA servers in the sources file, and what they become. The schema has the bounds of each field, and
 * `opcuaSourceFrom` what depends on several.
 */

const securityPolicies = ['None', 'Basic256Sha256', 'Aes128_Sha256_RsaOaep', 'Aes256_Sha256_RsaPss'] as const;

const endpointUrl = z
  .string()
  .max(1_000)
  .regex(/^opc\.tcp:\/\/[^\s/]+(?:\/\S*)?$/, 'expected an endpoint as in opc.tcp://host:4840');

const tagSchema = z.strictObject({
  device: devicePath,
  tag: tagName,
  node: z.string().max(1_600).refine(isNodeId, 'expected a node as in nsu=urn:plc;s=Boiler.T, ns=2;i=1001 or i=2258'),
  index: z.int().min(0).max(0xffff_ffff).optional(),
  sampleMs: z.int().min(50).max(3_600_000).default(1_000),
  queue: z.int().min(2).max(queueMax).optional(),
  as: z.enum(['number', 'text']).optional(),
  serverDeadband: z.number().positive().optional(),
  unit: unitName.optional(),
  filter: filterSchema.optional(),
  write: writeSchema.optional(),
});

export const opcuaEndpointSchema = z.strictObject({
  endpoint: endpointUrl,
  security: z.enum(securityPolicies).default('Basic256Sha256'),
  mode: z.enum(['Sign', 'SignAndEncrypt']).default('SignAndEncrypt'),
  user: z.string().min(1).max(200).optional(),
  passwordFile: z.string().min(1).max(1_000).optional(),
  profile: z.enum(profileNames).default('default'),
  publishMs: z.int().min(50).max(60_000).default(500),
  timeoutMs: z.int().min(1_000).max(60_000).default(5_000),
});

export const opcuaSourceSchema = z.strictObject({
  name: sourceName,
  opcua: opcuaEndpointSchema,
  tags: z.array(tagSchema).min(1),
});

/** A tag of an OPC UA source, at its position in the list of the source. */
export interface OpcuaSourceTag extends SourceTag, ConnectedTag, StatefulTag {}

export interface OpcuaSource {
  readonly name: string;
  readonly opcua: z.output<typeof opcuaSourceSchema>['opcua'];
  readonly tags: readonly OpcuaSourceTag[];
}

/** Of tags without a filter. */
const maxSilenceMsDefault = 60_000;

export function opcuaSourceFrom(config: z.output<typeof opcuaSourceSchema>, onError: OnSourceError): OpcuaSource {
  const { name, opcua } = config;
  if (opcua.passwordFile !== undefined && opcua.user === undefined) {
    onError(['opcua', 'passwordFile'], 'expected it with user only');
  }
  const tags = config.tags.map((tag, at): OpcuaSourceTag => {
    const { write, filter } = tag;
    if (tag.as === 'text' && write !== undefined && 'min' in write) {
      onError(['tags', at, 'write'], 'expected values with as "text", which has no range');
    }
    return {
      device: tag.device,
      tag: tag.tag,
      unit: tag.unit ?? '',
      filter: filter as FilterOptions | undefined,
      write,
      node: tag.node,
      index: tag.index,
      sampleMs: tag.sampleMs,
      queue: tag.queue,
      as: tag.as,
      serverDeadband: tag.serverDeadband,
      maxSilenceMs: filter?.maxSilenceMs ?? maxSilenceMsDefault,
    };
  });
  return { name, opcua, tags };
}
