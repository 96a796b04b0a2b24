import { z } from 'zod';
import { type ConfigKey, type ConfigSchema, configKeysFrom, variablePrefix } from './config-keys.ts';

/** Returns the settings as a Markdown table: key, environment variable, unit or type, default, why. */
export function configTable(schema: ConfigSchema, prefix = variablePrefix): string {
  const rows = configKeysFrom(schema, prefix).map((key) => [
    `\`${key.name}\``,
    `\`${key.variable}\``,
    typeText(key),
    fallbackText(key) === '' ? '–' : key.required ? fallbackText(key) : `\`${fallbackText(key)}\``,
    key.reason,
  ]);
  const lines = rows.map(
    (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`,
  );
  return [
    '| key | environment variable | unit, type | default | why |',
    '| --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n');
}

/** Returns the settings for a terminal, with the options of the command line. */
export function configHelp(serviceName: string, schema: ConfigSchema, prefix = variablePrefix): string {
  const keys = configKeysFrom(schema, prefix);
  const width = Math.max(0, ...keys.map((key) => key.variable.length));
  const lines = keys.map((key) => {
    const fallback = key.required ? 'required' : fallbackText(key) === '' ? 'not set' : `default ${fallbackText(key)}`;
    return `  ${key.variable.padEnd(width)}  ${typeText(key)}; ${fallback}\n  ${' '.repeat(width)}  ${key.reason}`;
  });
  return [
    `tailrace ${serviceName} [--config <file>] [--check-config] [--help]`,
    '',
    `  --config <file>  settings from a JSON file; ${prefix}CONFIG names it too`,
    '  --check-config   print the effective settings with secrets masked, or their errors, and exit',
    '',
    'Settings, from the environment or, by their key (flushMs for FLUSH_MS), from the file; the environment wins:',
    '',
    ...lines,
    '',
  ].join('\n');
}

/** Returns the JSON Schema of the configuration file, for editors and the chart's values. */
export function configJsonSchema(schema: ConfigSchema): Record<string, unknown> {
  return { ...z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }), additionalProperties: false };
}

/** Returns the settings, one `key = value` a line, secrets masked. */
export function configListing(schema: ConfigSchema, config: Readonly<Record<string, unknown>>): string {
  return configKeysFrom(schema)
    .map((key) => `${key.name} = ${valueText(key, config[key.name])}`)
    .join('\n');
}

function valueText(key: ConfigKey, value: unknown): string {
  if (value === undefined) return '(not set)';
  return key.secret ? '(secret)' : JSON.stringify(value);
}

function typeText(key: ConfigKey): string {
  return key.unit === undefined ? key.expected : `${key.unit}, ${key.expected}`;
}

function fallbackText(key: ConfigKey): string {
  if (key.required) return 'required';
  if (key.fallback === undefined || key.fallback === '') return '';
  if (key.secret) return '(secret)';
  if (Array.isArray(key.fallback)) return key.fallback.join(',');
  return String(key.fallback);
}
