import { type AddError, parseSchemaFile, schemaFileText, unknownKeys } from '@tailrace/platform/schema-file';
import { shown } from '@tailrace/protocol/error';
import { z } from 'zod';
import { type CommandDefinition, commandSchema } from './commands/command-definition.ts';
import { type ModbusSource, modbusSourceFrom, modbusSourceSchema } from './modbus/modbus-source.ts';
import { type OpcuaSource, opcuaSourceFrom, opcuaSourceSchema } from './opcua/opcua-source.ts';
import { type Rule, ruleSchema } from './rules/rule.ts';
import type { Value } from './sample.ts';
import type { SourceTag } from './source.ts';
import { writeRefusal } from './write-bounds.ts';

/** An entry of the sources file: its key `modbus` or `opcua` shows its protocol. */
export type SourceConfig = ModbusSource | OpcuaSource;

/** What the gateway reads and writes, from the sources file. */
export interface Sources {
  readonly sources: readonly SourceConfig[];
  readonly rules: readonly Rule[];
  readonly commands: readonly CommandDefinition[];
}

export const sourcesMax = 64;
export const tagsMax = 50_000;
const rulesMax = 10_000;
const commandsMax = 10_000;
/** For errors. */
const fileName = 'sources file';

/** By the key of the protocol, so that the errors of a source are those of its own. */
const sourceSchema = z.unknown().transform((source, { issues }) => {
  const isOpcua = typeof source === 'object' && source !== null && 'opcua' in source;
  const parsed = isOpcua
    ? opcuaSourceSchema.safeParse(source, unknownKeys)
    : modbusSourceSchema.safeParse(source, unknownKeys);
  if (parsed.success) return parsed.data;
  issues.push(...(parsed.error.issues as typeof issues));
  return z.NEVER;
});

const fileSchema = z.strictObject({
  sources: z.array(sourceSchema).min(1).max(sourcesMax),
  rules: z.array(ruleSchema).max(rulesMax).default([]),
  commands: z.array(commandSchema).max(commandsMax).default([]),
});

/**
 * Parses the sources file. Throws `invalid_config` with its errors, one a line: the path of the field, what was
 * expected, and the value. Unknown keys are errors.
 */
export function sourcesFrom(text: string): Sources {
  let sources: readonly SourceConfig[] = [];
  const { rules, commands } = parseSchemaFile(fileName, fileSchema, text, (content, add) => {
    sources = content.sources.map((source, index) => {
      const onError: AddError = (path, message) => add(['sources', index, ...path], message);
      return 'opcua' in source ? opcuaSourceFrom(source, onError) : modbusSourceFrom(source, onError);
    });
    checkSources(sources, add);
    checkReferences(sources, content.rules, content.commands, add);
  });
  return { sources, rules, commands };
}

/** Reads and parses the sources file. Throws `invalid_config`, also if it cannot be read. */
export function readSourcesFile(path: string): Sources {
  return sourcesFrom(schemaFileText(fileName, path));
}

/** Returns a line that counts what a valid file has. */
export function sourcesText({ sources }: Sources): string {
  const tags = sources.reduce((sum, source) => sum + source.tags.length, 0);
  const writable = sources.reduce((sum, source) => sum + source.tags.filter(({ write }) => write).length, 0);
  const count = (number: number, name: string) => `${number} ${name}${number === 1 ? '' : 's'}`;
  return `the sources file is valid: ${count(sources.length, 'source')}, ${count(tags, 'tag')}, ${writable} of them writable\n`;
}

/** Adds the errors of sources together: names and tags that two of them have, and too many tags. */
function checkSources(sources: readonly SourceConfig[], add: AddError): void {
  const names = new Set<string>();
  const tags = new Set<string>();
  let count = 0;
  for (const [index, source] of sources.entries()) {
    const place = ['sources', index];
    if (names.has(source.name)) add([...place, 'name'], `expected each name once, got ${source.name} again`);
    names.add(source.name);
    for (const { device, tag } of source.tags) {
      const name = `${device} ${tag}`;
      if (tags.has(name)) add(place, `expected each tag of a device once, got ${shown(name)} again`);
      tags.add(name);
    }
    count += source.tags.length;
  }
  if (count > tagsMax) add(['sources'], `expected at most ${tagsMax} tags, got ${count}`);
}

/** Adds the errors of rules and commands that name tags that do not exist, or values that must not be written. */
function checkReferences(
  sources: readonly SourceConfig[],
  rules: readonly Rule[],
  commands: readonly CommandDefinition[],
  add: AddError,
): void {
  const tags = new Map<string, SourceTag>();
  for (const source of sources) for (const tag of source.tags) tags.set(`${tag.device} ${tag.tag}`, tag);
  const checkKnown = (place: readonly PropertyKey[], device: string, tag: string) => {
    const name = `${device} ${tag}`;
    if (!tags.has(name)) add(place, `expected a tag of a source, got ${shown(name)}`);
  };
  const checkWrite = (place: readonly PropertyKey[], device: string, tag: string, value: Value) => {
    checkKnown(place, device, tag);
    const found = tags.get(`${device} ${tag}`);
    const refusal = found === undefined ? undefined : writeRefusal(found.write, value);
    if (refusal !== undefined) add(place, refusal);
  };
  for (const [index, { when, actions }] of rules.entries()) {
    checkKnown(['rules', index, 'when'], when.device, when.tag);
    for (const [at, action] of actions.entries()) {
      if (!('write' in action)) continue;
      const { device, tag, value } = action.write;
      checkWrite(['rules', index, 'actions', at, 'write'], device, tag, value);
    }
  }
  const names = new Set<string>();
  for (const [index, { device, name, set, confirm }] of commands.entries()) {
    const place = ['commands', index];
    const full = `${device} ${name}`;
    if (names.has(full)) add([...place, 'name'], `expected each name once, got ${shown(name)} again`);
    names.add(full);
    for (const [tag, value] of Object.entries(set)) checkWrite([...place, 'set'], device, tag, value);
    if (confirm !== undefined) checkKnown([...place, 'confirm'], device, confirm.tag);
  }
}
