import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Reading } from '@tailrace/protocol/report';

export type ModbusTable = 'coil' | 'discrete' | 'holding' | 'input';

/** Where a unit has one of its readings. */
export interface RegisterEntry {
  readonly tag: string;
  readonly table: ModbusTable;
  /** As in the request, from 0. */
  readonly address: number;
  /** `bit` in the tables coil and discrete, the others in registers. */
  readonly type: 'bit' | 'u16' | 'i16' | 'u32' | 'f32';
  /** Order of the two registers of `u32` and `f32`. Default: `big`, the high one first. */
  readonly wordOrder?: 'big' | 'little';
  /** The value is the number in the registers times `scale`. Default: 1. */
  readonly scale?: number;
  /** UCUM. Registers have none: for the gateway that reads them. */
  readonly unit?: string;
  readonly isWritable?: boolean;
}

/** Exception codes of the Modbus Application Protocol V1.1b3, section 7. */
export const exceptions = { illegalFunction: 1, illegalAddress: 2, illegalValue: 3 } as const;

/** A request that the unit refuses, with its exception code. Never thrown beyond the server. */
export class ModbusException extends TailraceError {
  readonly exception: number;

  constructor(exception: number, message: string) {
    super('invalid_message', message);
    this.exception = exception;
  }
}

/** One unit behind a Modbus server: the readings of a device in registers and coils. */
export class ModbusUnit {
  readonly device: string;
  /** A unit that does not answer keeps its values. */
  isAnswering = true;
  readonly #entries: readonly RegisterEntry[];
  readonly #tables: Readonly<Record<ModbusTable, Map<number, number>>> = {
    coil: new Map(),
    discrete: new Map(),
    holding: new Map(),
    input: new Map(),
  };
  readonly #onWrite: (device: string, tag: string, value: number | boolean) => void;

  /** `onWrite` changes the device. It throws for what the device refuses, and then nothing is written. */
  constructor(
    device: string,
    entries: readonly RegisterEntry[],
    onWrite: (device: string, tag: string, value: number | boolean) => void,
  ) {
    this.device = device;
    this.#entries = entries;
    this.#onWrite = onWrite;
    for (const entry of entries) this.#write(entry, new Array<number>(wordsOf(entry)).fill(0));
  }

  /** Takes the values of the device. A value that the type cannot hold is limited to its bounds. */
  take(readings: readonly Reading[]): void {
    for (const { tag, value } of readings) {
      const entry = this.#entries.find((each) => each.tag === tag);
      if (entry !== undefined) this.#write(entry, wordsFrom(entry, Number(value)));
    }
  }

  /** Returns registers, or bits as 0 and 1. Throws `ModbusException` if one of them does not exist. */
  read(table: ModbusTable, start: number, count: number): number[] {
    return Array.from({ length: count }, (_, index) => {
      const value = this.#tables[table].get(start + index);
      if (value === undefined) throw noSuch(table, start + index);
      return value;
    });
  }

  /** Writes registers or bits: whole values of writable entries. Throws `ModbusException`. */
  write(table: ModbusTable, start: number, words: readonly number[]): void {
    const writes: { readonly entry: RegisterEntry; readonly words: readonly number[] }[] = [];
    for (let index = 0; index < words.length; ) {
      const entry = this.#entries.find((each) => each.table === table && each.address === start + index);
      if (entry?.isWritable !== true) throw noSuch(table, start + index);
      const part = words.slice(index, index + wordsOf(entry));
      if (part.length < wordsOf(entry)) {
        throw new ModbusException(exceptions.illegalValue, `${entry.tag}: expected ${wordsOf(entry)} registers, got 1`);
      }
      writes.push({ entry, words: part });
      index += part.length;
    }
    for (const write of writes) {
      try {
        this.#onWrite(this.device, write.entry.tag, valueFrom(write.entry, write.words));
      } catch (thrown) {
        throw new ModbusException(exceptions.illegalValue, tailraceErrorFrom(thrown).message);
      }
      // Read back before the next tick of the plant, it is what was written.
      this.#write(write.entry, write.words);
    }
  }

  #write({ table, address }: RegisterEntry, words: readonly number[]): void {
    for (const [index, word] of words.entries()) this.#tables[table].set(address + index, word);
  }
}

function noSuch(table: ModbusTable, address: number): ModbusException {
  return new ModbusException(exceptions.illegalAddress, `${table} ${address}: no such register, or it is read-only`);
}

function wordsOf({ type }: RegisterEntry): number {
  return type === 'u32' || type === 'f32' ? 2 : 1;
}

function wordsFrom(entry: RegisterEntry, value: number): number[] {
  const raw = value / (entry.scale ?? 1);
  const bytes = Buffer.alloc(4);
  switch (entry.type) {
    case 'bit':
      return [raw === 0 ? 0 : 1];
    case 'u16':
      return [limited(raw, 0, 0xffff)];
    case 'i16':
      return [limited(raw, -0x8000, 0x7fff) & 0xffff];
    case 'u32':
      bytes.writeUInt32BE(limited(raw, 0, 0xffff_ffff));
      break;
    case 'f32':
      bytes.writeFloatBE(raw);
  }
  const words = [bytes.readUInt16BE(0), bytes.readUInt16BE(2)];
  return entry.wordOrder === 'little' ? words.reverse() : words;
}

function valueFrom(entry: RegisterEntry, words: readonly number[]): number | boolean {
  const [first = 0, second = 0] = entry.wordOrder === 'little' ? words.toReversed() : words;
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16BE(first, 0);
  bytes.writeUInt16BE(second, 2);
  const scale = entry.scale ?? 1;
  switch (entry.type) {
    case 'bit':
      return first !== 0;
    case 'u16':
      return first * scale;
    case 'i16':
      return bytes.readInt16BE(0) * scale;
    case 'u32':
      return bytes.readUInt32BE(0) * scale;
    case 'f32':
      return bytes.readFloatBE(0) * scale;
  }
}

function limited(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, Math.round(value)));
}
