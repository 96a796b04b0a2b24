import { jsonSchemaFrom, type Schema } from './openapi.ts';

/** The fields of a CustomResourceDefinition that are read. */
export interface CustomResource {
  readonly spec: {
    readonly group: string;
    readonly names: { readonly kind: string };
    readonly versions: readonly {
      readonly name: string;
      readonly served: boolean;
      readonly schema: { readonly openAPIV3Schema: Schema };
    }[];
  };
}

/** Returns the schema of each served version. */
export function schemaFromCustomResource({ spec }: CustomResource): { version: string; schema: Schema }[] {
  return spec.versions
    .filter(({ served }) => served)
    .map(({ name, schema }) => {
      const converted = jsonSchemaFrom(schema.openAPIV3Schema, (reference) => reference);
      const properties = { ...(converted['properties'] as Schema), ...ownFields };
      // The operator writes the status; manifests never have it.
      delete (properties as Record<string, unknown>)['status'];
      return { version: name, schema: { ...converted, properties, additionalProperties: false } };
    });
}

const ownFields = { apiVersion: { type: 'string' }, kind: { type: 'string' }, metadata: { type: 'object' } };
