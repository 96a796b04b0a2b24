import { isUtf8 } from 'node:buffer';
import { setImmediate } from 'node:timers/promises';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { isDevicePath } from '@tailrace/protocol/path';
import { attributeLimits, labelKeySchema } from '@tailrace/rules/device-attributes';
import { CsvError, type Info, parse } from 'csv-parse';
import {
  type DeviceFields,
  deviceFieldsSchema,
  fieldsOf,
  type RegistryDevice,
  registryLimits,
  type TagFields,
  tagFieldsSchema,
} from './device.ts';
import { tagSchema } from './fields.ts';

/*
 * Devices from a file of comma-separated values (RFC 4180), as a spreadsheet writes it: one line for each device, or
 * one for each tag of a device. A file is imported whole or not at all. Each invalid line is named.
 */

export const csvLimits = {
  bytesMax: 20 * 1024 * 1024,
  linesMax: 200_000,
  columnsMax: 64,
  recordCharactersMax: 16_384,
  /** Errors that are reported; the others are counted. */
  errorsMax: 100,
} as const;

const textColumns = ['name', 'kind', 'place', 'gateway', 'note'] as const;
const tagColumns = ['unit', 'type', 'min', 'max', 'writable', 'description'] as const;
const knownColumns = ['path', ...textColumns, 'tag', ...tagColumns] as const;
const labelPrefix = 'label.';

/** An invalid line. */
export interface CsvLineError {
  /** From 1; of a value with line breaks the last one. */
  readonly line: number;
  /** '': the whole line. */
  readonly column: string;
  readonly message: string;
}

/** What the lines of a device have. A field of an empty cell, or without a column, is absent. */
export interface ImportedDevice {
  readonly path: string;
  /** Its first line. */
  readonly line: number;
  readonly fields: Partial<Pick<DeviceFields, (typeof textColumns)[number]>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, TagFields>>;
}

export interface DeviceCsv {
  /** By path. */
  readonly devices: ReadonlyMap<string, ImportedDevice>;
  /** Without the header and empty lines. */
  readonly lines: number;
  /** The first of them, in the order of their lines. */
  readonly errors: readonly CsvLineError[];
  readonly errorCount: number;
}

/**
 * Reads a file. Yields to other work between parts of it. Throws `invalid_message` for what is no such file (no UTF-8,
 * no header), and `too_large`.
 */
export async function readDeviceCsv(bytes: Uint8Array): Promise<DeviceCsv> {
  if (bytes.length > csvLimits.bytesMax)
    throw new TailraceError('too_large', `CSV: expected at most ${csvLimits.bytesMax} bytes, got ${bytes.length}`);
  if (!isUtf8(bytes)) throw invalidFile('the encoding UTF-8, got other bytes; in a spreadsheet, save as "CSV UTF-8"');
  const reader = new CsvReader();
  await eachRecord(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), reader);
  if (!reader.hasHeader && reader.errorCount === 0)
    throw invalidFile('a header with the column "path", got an empty file');
  return reader;
}

async function eachRecord(bytes: Buffer, reader: CsvReader): Promise<void> {
  const parser = parse({
    bom: true,
    delimiter: delimiterOf(bytes),
    info: true,
    max_record_size: csvLimits.recordCharactersMax,
    relax_column_count: true,
    skip_empty_lines: true,
    trim: true,
  });
  let failure: unknown;
  parser.on('readable', () => {
    try {
      for (let each = parser.read(); each !== null && failure === undefined; each = parser.read()) reader.take(each);
    } catch (error) {
      failure = error;
    }
  });
  const finished = new Promise<void>((resolve) => {
    parser.on('end', resolve);
    parser.on('error', (error) => {
      failure ??= error;
      resolve();
    });
  });
  const partBytes = 64 * 1024;
  for (let at = 0; at < bytes.length && failure === undefined; at += partBytes) {
    parser.write(bytes.subarray(at, at + partBytes));
    await setImmediate();
  }
  if (failure === undefined) {
    parser.end();
    await finished;
  }
  parser.destroy();
  if (failure === undefined) return;
  if (!(failure instanceof CsvError)) throw failure;
  // After an invalid quote, the parser does not know where the next line starts: this is the only error.
  const { lines } = failure as { lines?: number };
  reader.addError(lines ?? 0, '', failure.message);
}

/** A spreadsheet uses semicolons where the comma is the decimal separator. */
function delimiterOf(bytes: Buffer): string {
  const end = bytes.indexOf('\n');
  const header = bytes.subarray(0, Math.min(end === -1 ? bytes.length : end, 4_096)).toString('utf8');
  return header.includes(';') && !header.includes(',') ? ';' : ',';
}

interface MutableDevice extends ImportedDevice {
  readonly fields: { [Column in (typeof textColumns)[number]]?: string };
  readonly labels: Record<string, string>;
  readonly tags: Record<string, TagFields>;
}

class CsvReader implements DeviceCsv {
  readonly devices = new Map<string, MutableDevice>();
  readonly errors: CsvLineError[] = [];
  lines = 0;
  errorCount = 0;
  #columns: readonly string[] | undefined;

  get hasHeader(): boolean {
    return this.#columns !== undefined;
  }

  addError(line: number, column: string, message: string): undefined {
    this.errorCount++;
    if (this.errors.length < csvLimits.errorsMax) this.errors.push({ line, column, message });
  }

  take({ record, info }: { record: readonly string[]; info: Info }): undefined {
    if (this.#columns === undefined) {
      this.#columns = headerFrom(record);
      return;
    }
    if (++this.lines > csvLimits.linesMax)
      throw new TailraceError('too_large', `CSV: expected at most ${csvLimits.linesMax} lines, got more`);
    const columns = this.#columns;
    if (record.length !== columns.length)
      return this.addError(info.lines, '', `expected ${columns.length} columns, got ${record.length}`);
    const cells = new Map<string, string>();
    for (const [n, column] of columns.entries()) if (record[n] !== '') cells.set(column, record[n]!);
    this.#takeCells(cells, info.lines);
  }

  #takeCells(cells: ReadonlyMap<string, string>, line: number): undefined {
    const path = cells.get('path');
    if (path === undefined) return this.addError(line, 'path', 'expected a device path, got an empty cell');
    if (!isDevicePath(path))
      return this.addError(line, 'path', `expected a device path, as in "plant1.line3.press7", got ${shown(path)}`);
    const device = this.devices.get(path) ?? { path, line, fields: {}, labels: {}, tags: {} };
    this.devices.set(path, device);
    this.#takeFields(device, cells, line);
    this.#takeTag(device, cells, line);
  }

  #takeFields(device: MutableDevice, cells: ReadonlyMap<string, string>, line: number): void {
    for (const [column, value] of cells) {
      const isLabel = column.startsWith(labelPrefix);
      const key = isLabel ? column.slice(labelPrefix.length) : column;
      if (!isLabel && !textColumns.some((each) => each === column)) continue;
      const target: Record<string, string> = isLabel ? device.labels : device.fields;
      const known = Object.hasOwn(target, key) ? target[key] : undefined;
      const reason =
        known !== undefined && known !== value
          ? `expected ${shown(known)}, as in another line of the device, got ${shown(value)}`
          : issueOf(
              isLabel ? deviceFieldsSchema.shape.labels : deviceFieldsSchema.shape[key as 'name'],
              isLabel ? { [key]: value } : value,
            );
      if (reason === undefined) target[key] = value;
      else this.addError(line, column, reason);
    }
    if (Object.keys(device.labels).length > attributeLimits.labelsMax)
      this.addError(line, '', `expected at most ${attributeLimits.labelsMax} labels, got more`);
  }

  #takeTag(device: MutableDevice, cells: ReadonlyMap<string, string>, line: number): undefined {
    const tag = cells.get('tag');
    if (tag === undefined) {
      const column = tagColumns.find((each) => cells.has(each));
      if (column !== undefined) this.addError(line, column, 'expected a name in the column "tag", got an empty cell');
      return;
    }
    const wrongTag = issueOf(tagSchema, tag);
    if (wrongTag !== undefined) return this.addError(line, 'tag', wrongTag);
    if (Object.hasOwn(device.tags, tag))
      return this.addError(line, 'tag', `expected each tag once, got ${shown(tag)} again`);
    const fields: Record<string, unknown> = {};
    for (const column of tagColumns) {
      const text = cells.get(column);
      if (text === undefined) continue;
      const value = typed(column, text);
      const reason = issueOf(tagFieldsSchema.shape[column], value);
      if (reason !== undefined) this.addError(line, column, reason);
      else fields[column] = value;
    }
    const parsed = tagFieldsSchema.safeParse(fields);
    if (!parsed.success) return this.addError(line, 'min', parsed.error.issues[0]!.message);
    if (Object.keys(device.tags).length >= registryLimits.tagsMax)
      return this.addError(line, 'tag', `expected at most ${registryLimits.tagsMax} tags of a device, got more`);
    device.tags[tag] = parsed.data;
  }
}

function headerFrom(record: readonly string[]): readonly string[] {
  const columns = record.map((column) => column.toLowerCase());
  if (columns.length > csvLimits.columnsMax)
    throw invalidFile(`at most ${csvLimits.columnsMax} columns, got ${columns.length}`);
  for (const column of columns) {
    const isLabel = column.startsWith(labelPrefix);
    if (isLabel ? labelKeySchema.safeParse(column.slice(labelPrefix.length)).success : isKnownColumn(column)) continue;
    throw invalidFile(`the columns ${knownColumns.join(', ')} and label.<key>, got ${shown(column)}`);
  }
  if (!columns.includes('path')) throw invalidFile(`the column "path", got ${shown(columns.join(', '))}`);
  const repeated = columns.find((column, n) => columns.indexOf(column) !== n);
  if (repeated !== undefined) throw invalidFile(`each column once, got ${shown(repeated)} again`);
  return columns;
}

function isKnownColumn(column: string): boolean {
  return knownColumns.some((each) => each === column);
}

/** Returns the value of a cell of a tag, or its text where it has another type. */
function typed(column: (typeof tagColumns)[number], text: string): unknown {
  if (column === 'min' || column === 'max') return text !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
  if (column === 'writable') return /^(true|yes|1)$/i.test(text) ? true : /^(false|no|0)$/i.test(text) ? false : text;
  return text;
}

interface Checked {
  safeParse(value: unknown): { success: boolean; error?: { issues: readonly { message: string }[] } | undefined };
}

/** Returns why a value is invalid; undefined: it is valid. */
function issueOf(schema: Checked, value: unknown): string | undefined {
  const result = schema.safeParse(value);
  if (result.success) return undefined;
  return `${result.error!.issues[0]!.message}, got ${shown(value)}`;
}

function invalidFile(expected: string): TailraceError {
  return new TailraceError('invalid_message', `CSV: expected ${expected}`);
}

/** What an import does to a device. */
export type ImportChange = 'create' | 'update' | 'unchanged';

/** Returns the fields of a device after an import, and whether they differ. A cell that is empty changes nothing. */
export function mergeImported(
  known: RegistryDevice | undefined,
  imported: ImportedDevice,
): { readonly change: ImportChange; readonly fields: DeviceFields } {
  const before = deviceFieldsSchema.parse(known === undefined ? {} : fieldsOf(known));
  const fields = {
    ...before,
    ...imported.fields,
    labels: { ...before.labels, ...imported.labels },
    tags: { ...before.tags },
  };
  for (const [tag, more] of Object.entries(imported.tags)) fields.tags[tag] = { ...before.tags[tag], ...more };
  if (known === undefined) return { change: 'create', fields };
  return { change: isSame(before, fields) ? 'unchanged' : 'update', fields };
}

/** Compares values of JSON, in any order of keys. */
function isSame(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  const [keys, others] = [Object.keys(a), Object.keys(b)];
  return (
    keys.length === others.length &&
    keys.every((key) => Object.hasOwn(b, key) && isSame(a[key as keyof typeof a], b[key as keyof typeof b]))
  );
}
