import { RegisterCodec, type RegisterFormat } from './register.ts';
import { isBitTable, type Table } from './register-address.ts';

/** A tag of a Modbus unit, as the sources file describes it. */
export interface ModbusTagOptions {
  /** Position of the tag in the list of the source. */
  readonly tag: number;
  readonly table: Table;
  /** Address of the protocol. */
  readonly address: number;
  readonly format: RegisterFormat;
  readonly pollMs: number;
}

/** A tag, its codec, and what the unit knows of it. */
export class ModbusTag {
  readonly tag: number;
  /** Position in the list of its unit. */
  readonly index: number;
  readonly table: Table;
  readonly address: number;
  readonly pollMs: number;
  readonly codec: RegisterCodec;
  /** Registers or bits. */
  readonly length: number;
  /** Why its last sample was bad. */
  badReason: string | undefined;
  /** The function of writes that the device has refused with "illegal function"; the other one is used. */
  refusedWrite: 'one' | 'many' | undefined;

  constructor({ tag, table, address, format, pollMs }: ModbusTagOptions, index: number) {
    this.tag = tag;
    this.index = index;
    this.table = table;
    this.address = address;
    this.pollMs = pollMs;
    this.codec = new RegisterCodec(format);
    this.length = isBitTable(table) ? 1 : this.codec.registers;
  }
}
