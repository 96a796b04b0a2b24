import { TailraceError } from '@tailrace/protocol/error';
import { z } from 'zod';

/** The schema of a service's settings: flat, each key a number, a boolean, a text, a choice, or a list of texts. */
export type ConfigSchema = z.ZodObject;

export const variablePrefix = 'TAILRACE_';

/** One setting, for tables, masks and error messages. */
export interface ConfigKey {
  /** In lowerCamelCase, with its unit last. */
  readonly name: string;
  /** The environment variable that sets it. */
  readonly variable: string;
  readonly kind: 'number' | 'boolean' | 'text' | 'list';
  /** The form of a value in words: `integer from 0 to 65535`. */
  readonly expected: string;
  /** `ms`, `bytes`; undefined unless it is a number. */
  readonly unit: string | undefined;
  /** The default. Undefined: none; the key is required or optional. */
  readonly fallback: unknown;
  readonly required: boolean;
  /** Never shown. */
  readonly secret: boolean;
  /** Why it exists, and the reason of its default. */
  readonly reason: string;
}

/** `flushMs` → `TAILRACE_FLUSH_MS`. */
export function variableFrom(key: string, prefix = variablePrefix): string {
  return `${prefix}${key.replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()}`;
}

/**
 * Returns the settings of a schema. Throws `internal` for a schema that violates the rules of all services: no nesting,
 * a reason for every key, a unit for every number.
 */
export function configKeysFrom(schema: ConfigSchema, prefix = variablePrefix): readonly ConfigKey[] {
  const described = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  const required = new Set(described.required);
  return Object.entries(described.properties ?? {}).map(([name, property]) => {
    if (typeof property === 'boolean' || !property.description)
      throw schemaError(name, 'has no reason; add .describe(reason)');
    const kind = kindOf(name, property);
    const unit = unitOf(name, property['unit']);
    if (kind === 'number' && unit === undefined) {
      throw schemaError(
        name,
        "is a number without a unit; end its name in one (flushMs, bodyBytesMax) or add .meta({ unit: '…' })",
      );
    }
    return {
      name,
      variable: variableFrom(name, prefix),
      kind,
      expected: expectedFrom(property),
      unit: kind === 'number' ? unit : undefined,
      fallback: property.default,
      required: required.has(name),
      secret: property['secret'] === true,
      reason: property.description,
    };
  });
}

function schemaError(name: string, reason: string): TailraceError {
  return new TailraceError('internal', `config schema: the key ${name} ${reason}`);
}

type Property = z.core.JSONSchema.BaseSchema;

function kindOf(name: string, property: Property): ConfigKey['kind'] {
  switch (property.type) {
    case 'number':
    case 'integer':
      return 'number';
    case 'boolean':
      return 'boolean';
    case 'array':
      return 'list';
    case 'object':
      throw schemaError(name, 'is an object; settings are flat, one key each');
    default:
      return 'text';
  }
}

const units: ReadonlySet<string> = new Set(['ms', 'bytes', 'ratio', 'percent', 'port', 'second', 'hz', 'bits']);

/**
 * Returns the last word of the name, without `Max` and `Min`: a unit, or the plural of what is counted (`partitions`).
 */
function unitOf(name: string, declared: unknown): string | undefined {
  if (typeof declared === 'string') return declared;
  const words = name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(' ');
  while (words.at(-1) === 'max' || words.at(-1) === 'min') words.pop();
  const last = words.at(-1) ?? '';
  if (last === 'second' && words.at(-2) === 'per') return `${words.at(-3) ?? ''} per second`.trim();
  return units.has(last) || /[^s]s$/.test(last) ? last : undefined;
}

/** `{type:'integer', minimum:0, maximum:65535}` → `integer from 0 to 65535`. */
function expectedFrom(property: Property): string {
  if (property.enum) return `one of ${property.enum.map((choice) => JSON.stringify(choice)).join(', ')}`;
  if (property.const !== undefined) return property.const === '' ? 'empty' : JSON.stringify(property.const);
  if (property.anyOf)
    return property.anyOf
      .map((choice) => (typeof choice === 'boolean' ? 'anything' : expectedFrom(choice)))
      .join(' or ');
  switch (property.type) {
    case 'boolean':
      return 'true or false';
    case 'array':
      return `list of ${typeof property.items === 'object' && !Array.isArray(property.items) ? expectedFrom(property.items) : 'text'}`;
    case 'integer':
    case 'number':
      return rangeText(property);
    default:
      return textForm(property);
  }
}

function rangeText(property: Property): string {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = property;
  let text = `${property.type}`;
  if (typeof exclusiveMinimum === 'number') text += ` above ${exclusiveMinimum}`;
  // zod sets the bounds of a safe integer for every integer: they are left out.
  else if (minimum !== undefined && minimum > Number.MIN_SAFE_INTEGER) text += ` from ${minimum}`;
  if (typeof exclusiveMaximum === 'number') text += ` below ${exclusiveMaximum}`;
  else if (maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER) text += ` to ${maximum}`;
  if (property.multipleOf !== undefined) text += ` in steps of ${property.multipleOf}`;
  return text;
}

function textForm(property: Property): string {
  if (property.format === 'uri') return 'URL';
  if (property.format) return property.format;
  if (property.minLength === 1 && property.maxLength === undefined && !property.pattern) return 'text, not empty';
  const least = property.minLength ? ` of at least ${property.minLength} characters` : '';
  const most = property.maxLength ? ` of at most ${property.maxLength} characters` : '';
  return `text${least}${least && most ? ' and' : ''}${most}${property.pattern ? ` matching ${property.pattern}` : ''}`;
}
