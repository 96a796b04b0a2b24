export type Schema = { [key: string]: unknown };

/** Keywords of OpenAPI and of JSON Schema that do not constrain a value. */
const leftOut = new Set(['description', 'example', 'externalDocs', 'default', 'title']);

/**
 * Converts OpenAPI as Kubernetes writes it to JSON Schema: without descriptions, with integers or texts where both are
 * valid, and closed where fields are named, so that a misspelt one is found. `reference` maps what `$ref` names.
 */
export function jsonSchemaFrom(schema: Schema, reference: (name: string) => string): Schema {
  if (schema['x-kubernetes-int-or-string'] === true || schema['format'] === 'int-or-string') {
    return { anyOf: [{ type: 'integer' }, { type: 'string' }] };
  }
  const result: Schema = {};
  for (const [key, value] of Object.entries(schema)) {
    if (leftOut.has(key) || key.startsWith('x-kubernetes-') || key === 'nullable' || key === 'format') continue;
    result[key] = converted(key, value, reference);
  }
  const open = schema['x-kubernetes-preserve-unknown-fields'] === true;
  if (result['properties'] !== undefined && result['additionalProperties'] === undefined && !open) {
    result['additionalProperties'] = false;
  }
  return result;
}

function converted(key: string, value: unknown, reference: (name: string) => string): unknown {
  if (key === '$ref') return reference(value as string);
  if (key === 'properties') {
    return Object.fromEntries(
      Object.entries(value as Record<string, Schema>).map(([name, part]) => [name, jsonSchemaFrom(part, reference)]),
    );
  }
  if (Array.isArray(value) && ['allOf', 'anyOf', 'oneOf'].includes(key)) {
    // Each part names only some of the fields: if closed, it would refuse the others.
    return value.map((part: Schema) => opened(jsonSchemaFrom(part, reference)));
  }
  if (isSchema(value) && ['items', 'additionalProperties', 'not'].includes(key))
    return jsonSchemaFrom(value, reference);
  return value;
}

function opened(schema: Schema): Schema {
  const { additionalProperties, ...rest } = schema;
  return additionalProperties === false ? rest : schema;
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
