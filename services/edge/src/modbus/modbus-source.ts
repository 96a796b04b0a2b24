import { z } from 'zod';
import type { FilterOptions } from '../rules/tag-filter.ts';
import type { SourceTag } from '../source.ts';
import { devicePath, filterSchema, sourceName, tagName, unitName, writeSchema } from '../tag-schema.ts';
import type { ModbusTagOptions } from './modbus-tag.ts';
import type { PollerUnit } from './poller.ts';
import { bitsPerRegister, type ReadLimits, readBitsMax, readRegistersMax, rtuGapMax, tcpGapMax } from './read-plan.ts';
import { type RegisterFormat, registerCount, registerTypes } from './register.ts';
import { addressCount, addressings, isBitTable, protocolAddress, type Table, tables } from './register-address.ts';

/*
 * Modbus devices in the sources file, and what they become: the options of pollers. The schema has the bounds of each
 * field, and `modbusSourceFrom` what depends on several.
 */

const order = z.enum(['big', 'little']);
const pollMs = z.int().min(50).max(3_600_000);
const register = z
  .int()
  .min(0)
  .max(addressCount - 1);

const tagSchema = z.strictObject({
  tag: tagName,
  table: z.enum(tables),
  address: z.union([z.int(), z.string().max(6)]),
  type: z.enum(registerTypes).optional(),
  bit: z.int().min(0).max(15).optional(),
  registers: z.int().min(1).max(readRegistersMax).optional(),
  wordOrder: order.optional(),
  byteOrder: order.optional(),
  scale: z
    .number()
    .refine((scale) => scale !== 0, 'expected a number other than 0')
    .optional(),
  offset: z.number().optional(),
  as: z.enum(['number', 'text']).optional(),
  unit: unitName.optional(),
  pollMs: pollMs.optional(),
  filter: filterSchema.optional(),
  write: writeSchema.optional(),
  writeWith: z.enum(['auto', 'many']).default('auto'),
});

const unitSchema = z.strictObject({
  unit: z.int().min(0).max(255),
  device: devicePath,
  addressing: z.enum(addressings),
  wordOrder: order.default('big'),
  byteOrder: order.default('big'),
  pollMs: pollMs.default(1_000),
  /** Default: by the framing. */
  gapMax: z.int().min(0).max(readRegistersMax).optional(),
  registersMax: z.int().min(1).max(readRegistersMax).default(readRegistersMax),
  /** Registers that are never read, by the addresses of the protocol: first and last. */
  forbidden: z
    .array(z.strictObject({ table: z.enum(tables), from: register, to: register }))
    .max(1_000)
    .default([]),
  tags: z.array(tagSchema).min(1),
});

export const modbusSourceSchema = z.strictObject({
  name: sourceName,
  modbus: z.strictObject({
    host: z.string().min(1).max(253),
    port: z.int().min(1).max(65_535).default(502),
    framing: z.enum(['tcp', 'rtu']).default('tcp'),
    timeoutMs: z.int().min(50).max(30_000).default(1_000),
    inFlightMax: z.int().min(1).max(16).default(4),
    connections: z.enum(['shared', 'perUnit']).default('shared'),
  }),
  units: z.array(unitSchema).min(1).max(256),
});

/** A tag of a Modbus source, at its position in the list of the source. */
export interface ModbusSourceTag extends SourceTag {
  readonly writeWith: 'auto' | 'many';
}

export interface ModbusSource {
  readonly name: string;
  readonly modbus: z.output<typeof modbusSourceSchema>['modbus'];
  readonly units: readonly PollerUnit[];
  readonly tags: readonly ModbusSourceTag[];
}

/** Reports an error of the file: the path below the source, and what was expected. */
export type OnSourceError = (path: readonly (string | number)[], message: string) => void;

type UnitConfig = z.output<typeof unitSchema>;
type TagConfig = z.output<typeof tagSchema>;

export function modbusSourceFrom(config: z.output<typeof modbusSourceSchema>, onError: OnSourceError): ModbusSource {
  const { name, modbus } = config;
  const tags: ModbusSourceTag[] = [];
  const numbers = new Set<number>();
  const units = config.units.map((unit, unitAt): PollerUnit => {
    if (numbers.has(unit.unit)) onError(['units', unitAt, 'unit'], `expected each unit once, got ${unit.unit} again`);
    numbers.add(unit.unit);
    const options = unit.tags.map((tag, tagAt): ModbusTagOptions => {
      const number = tags.length;
      const { filter, write, writeWith } = tag;
      tags.push({
        device: unit.device,
        tag: tag.tag,
        unit: tag.unit ?? '',
        filter: filter as FilterOptions | undefined,
        write,
        writeWith,
      });
      return tagOptions(number, tag, unit, (field, message) =>
        onError(['units', unitAt, 'tags', tagAt, field], message),
      );
    });
    const limits = new Map(tables.map((table) => [table, readLimits(table, unit, modbus.framing)]));
    return { unit: unit.unit, tags: options, limitsOf: (table) => limits.get(table)! };
  });
  return { name, modbus, units, tags };
}

function tagOptions(
  number: number,
  tag: TagConfig,
  unit: UnitConfig,
  onError: (field: string, message: string) => void,
): ModbusTagOptions {
  const format = formatOf(tag, unit, onError);
  let address = 0;
  try {
    address = protocolAddress(tag.address, unit.addressing, tag.table);
  } catch (thrown) {
    onError('address', (thrown as Error).message.replace(/^address: /, ''));
  }
  const length = isBitTable(tag.table) ? 1 : registerCount(format.type, format.registers);
  if (address + length > addressCount) onError('address', `expected ${length} registers up to ${addressCount - 1}`);
  if (length > unit.registersMax)
    onError('registers', `expected at most registersMax ${unit.registersMax}, got ${length}`);
  if (unit.forbidden.some(({ table, from, to }) => table === tag.table && from < address + length && to >= address)) {
    onError('address', 'expected registers that are not forbidden');
  }
  if (tag.write !== undefined && tag.table !== 'coil' && tag.table !== 'holding') {
    onError('write', `expected the table coil or holding, got ${tag.table}`);
  }
  return { tag: number, table: tag.table, address, format, pollMs: tag.pollMs ?? unit.pollMs };
}

function formatOf(tag: TagConfig, unit: UnitConfig, onError: (field: string, message: string) => void): RegisterFormat {
  const { table, bit, registers, as, scale, offset } = tag;
  const type = tag.type ?? (isBitTable(table) ? 'bool' : undefined);
  if (type === undefined) onError('type', `expected a type for the table ${table}, got none`);
  else if (isBitTable(table) && type !== 'bool') onError('type', `expected bool for the table ${table}, got ${type}`);
  if ((type === 'bit') !== (bit !== undefined)) onError('bit', 'expected it with the type bit, and with no other');
  if ((type === 'text') !== (registers !== undefined)) {
    onError('registers', 'expected it with the type text, and with no other');
  }
  const isLong = type === 'u64' || type === 'i64';
  if (as !== undefined && !isLong) onError('as', 'expected it with the types u64 and i64 only');
  const isScaled = scale !== undefined || offset !== undefined;
  const isNumber = type !== 'bool' && type !== 'bit' && type !== 'text' && as !== 'text';
  if (isScaled && !isNumber) onError('scale', 'expected scale and offset for numbers only');
  return {
    type: type ?? 'u16',
    wordOrder: tag.wordOrder ?? unit.wordOrder,
    byteOrder: tag.byteOrder ?? unit.byteOrder,
    scale: scale ?? 1,
    offset: offset ?? 0,
    ...(bit === undefined ? {} : { bit }),
    ...(registers === undefined ? {} : { registers }),
    ...(as === undefined ? {} : { as }),
  };
}

function readLimits(table: Table, unit: UnitConfig, framing: 'tcp' | 'rtu'): ReadLimits {
  const registerGap = unit.gapMax ?? (framing === 'tcp' ? tcpGapMax : rtuGapMax);
  const forbidden = unit.forbidden
    .filter((range) => range.table === table)
    .map(({ from, to }) => [from, to + 1] as const);
  if (!isBitTable(table)) return { lengthMax: unit.registersMax, gapMax: registerGap, forbidden };
  const lengthMax = Math.min(readBitsMax, bitsPerRegister * unit.registersMax);
  return { lengthMax, gapMax: bitsPerRegister * registerGap, forbidden };
}
