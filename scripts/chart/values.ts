import { configJsonSchema } from '@tailrace/platform/config-docs';
import { z } from 'zod';
import type { ServiceSchema } from '../service-schemas.ts';
import { brokerShapes } from './broker-shapes.ts';
import { openKeys } from './open-keys.ts';
import { openShapes } from './open-shapes.ts';
import { sectionExtras, serviceShape } from './service-shape.ts';

type JsonSchema = Record<string, unknown>;

/** Values outside of the services' sections. Every level is closed. */
const ownShape = z.strictObject({ ...openShapes, ...brokerShapes });

/**
 * Returns the JSON Schema of values.yaml: the chart's own part, `defaults`, and a section for each service with its
 * settings.
 */
export function valuesSchema(services: readonly ServiceSchema[]): JsonSchema {
  const own = jsonSchema(ownShape);
  const configs = new Map(services.map((service) => [service.name, configSchema(service)]));
  const sections = services.map(({ name }) => {
    const section = jsonSchema(z.strictObject({ ...serviceShape, ...sectionExtras[name] }));
    return [name, withProperty(section, 'config', configs.get(name)!)] as const;
  });
  const defaults = withProperty(
    jsonSchema(z.strictObject(serviceShape)),
    'config',
    sharedConfig([...configs.values()]),
  );
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Values of the Tailrace chart. Written by make generate; do not edit.',
    ...own,
    properties: {
      ...(own['properties'] as JsonSchema),
      // Helm puts the values for all charts of an installation here.
      global: { type: 'object' },
      // The condition of a parent chart, which Helm passes on. Not in values.yaml: a default there would override the
      // tags of the parent.
      enabled: { type: 'boolean' },
      config: sharedConfig([...configs.values()]),
      defaults,
      ...Object.fromEntries(sections),
    },
  };
}

/** Converts a shape. No key is required on any level, because values.yaml has all of them. */
function jsonSchema(shape: z.ZodObject): JsonSchema {
  const { $schema: _, ...schema } = z.toJSONSchema(shape, {
    io: 'input',
    target: 'draft-7',
    override: ({ jsonSchema: part }) => {
      delete part.required;
    },
  });
  return schema;
}

function withProperty(schema: JsonSchema, name: string, property: JsonSchema): JsonSchema {
  return { ...schema, properties: { ...(schema['properties'] as JsonSchema), [name]: property } };
}

/**
 * Returns a service's schema without settings of the chart and without secrets. No key is required: every setting has
 * a default or is the chart's.
 */
function configSchema(service: ServiceSchema): JsonSchema {
  const whole = configJsonSchema(service.schema);
  const open = openKeys(service);
  const properties = Object.entries(whole['properties'] as JsonSchema).filter(([name]) => open.has(name));
  return { type: 'object', additionalProperties: false, properties: Object.fromEntries(properties) };
}

/** Returns the schema of `config` for all services: the union of their settings. */
function sharedConfig(configs: readonly JsonSchema[]): JsonSchema {
  const properties = Object.assign({}, ...configs.map((config) => config['properties'] as JsonSchema));
  return { type: 'object', additionalProperties: false, properties };
}
