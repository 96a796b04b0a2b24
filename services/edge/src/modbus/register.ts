import { isTailraceError, shown, TailraceError } from '@tailrace/protocol/error';
import { reportLimits } from '@tailrace/protocol/report-limits';
import type { Value } from '../sample.ts';

/** Types of a value in registers. `bit`: one bit of a register; `bcd16`: four decimal digits in one register. */
export const registerTypes = [
  'bool',
  'bit',
  'u16',
  'i16',
  'u32',
  'i32',
  'u64',
  'i64',
  'f32',
  'f64',
  'bcd16',
  'bcd32',
  'text',
] as const;
export type RegisterType = (typeof registerTypes)[number];

export type Order = 'big' | 'little';

/** How a value is stored in registers. */
export interface RegisterFormat {
  readonly type: RegisterType;
  /** Which register of a value comes first. ABCD: big, big; CDAB: little, big; BADC: big, little; DCBA: both little. */
  readonly wordOrder: Order;
  /** Which byte of a register comes first. */
  readonly byteOrder: Order;
  /** value = raw · scale + offset. Finite, and `scale` is not 0. */
  readonly scale: number;
  readonly offset: number;
  /** Of type `bit`: 0 (the lowest) to 15. */
  readonly bit?: number;
  /** Of type `text`: its registers, 1 to 125. */
  readonly registers?: number;
  /** Of 64-bit integers: the number that is next to it, or its digits. Default: `number`. */
  readonly as?: 'number' | 'text';
}

const registerCounts: Readonly<Record<Exclude<RegisterType, 'text'>, number>> = {
  bool: 1,
  bit: 1,
  u16: 1,
  i16: 1,
  u32: 2,
  i32: 2,
  u64: 4,
  i64: 4,
  f32: 2,
  f64: 4,
  bcd16: 1,
  bcd32: 2,
};

/** Returns how many registers a value takes. */
export function registerCount(type: RegisterType, registers = 1): number {
  return type === 'text' ? registers : registerCounts[type];
}

/** Lowest and highest raw value of each type of integers. */
const rawBounds: Readonly<Partial<Record<RegisterType, readonly [bigint, bigint]>>> = {
  u16: [0n, 0xffffn],
  i16: [-0x8000n, 0x7fffn],
  u32: [0n, 0xffff_ffffn],
  i32: [-0x8000_0000n, 0x7fff_ffffn],
  u64: [0n, 0xffff_ffff_ffff_ffffn],
  i64: [-0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn],
  bcd16: [0n, 9_999n],
  bcd32: [0n, 99_999_999n],
};

/**
 * Converts the values of one tag from registers and to registers, so that a write uses the orders of the reads. The
 * results of `read` are fields, since it runs for every value of every poll.
 */
export class RegisterCodec {
  readonly format: RegisterFormat;
  readonly registers: number;
  /** Why the last `read` returned undefined: `not_finite`, `invalid_bcd`. */
  reason = '';
  /** Whether the last `read` returned exactly the number in the registers: false beyond 2^53. */
  isExact = true;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** 1 / scale if that is an integer: 213 / 10 is 21.3, and 213 · 0.1 is 21.3 with an error in the last digit. */
  readonly #divisor: number;
  /** The offset in raw units, for the same reason: (613 - 400) / 10, not 61.3 - 40. */
  readonly #rawOffset: number;

  constructor(format: RegisterFormat) {
    this.format = format;
    this.registers = registerCount(format.type, format.registers);
    this.#bytes = new Uint8Array(2 * this.registers);
    this.#view = new DataView(this.#bytes.buffer);
    const inverse = Math.round(1 / format.scale);
    this.#divisor = inverse !== 0 && Math.abs(inverse * format.scale - 1) < 1e-12 ? inverse : 0;
    this.#rawOffset = format.offset * this.#divisor;
  }

  /** Returns the value at `bytes[at]`, as registers follow each other in a reply; undefined where there is none. */
  read(bytes: Uint8Array, at: number): Value | undefined {
    this.isExact = true;
    this.#order(bytes, at);
    const { type } = this.format;
    switch (type) {
      case 'bool':
        return this.#view.getUint16(0) !== 0;
      case 'bit':
        return ((this.#view.getUint16(0) >> (this.format.bit ?? 0)) & 1) === 1;
      case 'text':
        return textFrom(this.#bytes);
      case 'u64':
      case 'i64':
        return this.#readLong(type === 'u64' ? this.#view.getBigUint64(0) : this.#view.getBigInt64(0));
      default:
        return this.#scaled(this.#raw(type));
    }
  }

  /**
   * Returns the registers of a value, for a write. A `bit` is written with the other bits of its register:
   * `registersWithBit`. Throws `invalid_message` for a value that the type cannot have.
   */
  write(value: Value): Uint8Array {
    const { type } = this.format;
    this.#bytes.fill(0);
    if (type === 'bit') throw new TailraceError('internal', 'bit: expected registersWithBit, got write');
    if (type === 'bool') {
      if (typeof value !== 'boolean') throw this.#unexpected('true or false', value);
      this.#view.setUint16(0, value ? 1 : 0);
    } else if (type === 'text') this.#writeText(value);
    else if (type === 'f32' || type === 'f64') this.#writeFloat(value);
    else this.#writeInteger(this.#integerFrom(value));
    const out = new Uint8Array(this.#bytes.length);
    this.#order(this.#bytes, 0, out);
    return out;
  }

  /** Returns what `read` returns of registers that have the value; the value itself where they cannot have it. */
  held(value: Value): Value {
    if (this.format.type === 'bit') return value;
    try {
      return this.read(this.write(value), 0) ?? value;
    } catch (thrown) {
      if (isTailraceError(thrown)) return value;
      throw thrown;
    }
  }

  /** Returns the register with the bit set to the value. */
  registersWithBit(value: Value, present: Uint8Array): Uint8Array {
    if (typeof value !== 'boolean') throw this.#unexpected('true or false', value);
    this.#order(present, 0);
    const mask = 1 << (this.format.bit ?? 0);
    const before = this.#view.getUint16(0);
    this.#view.setUint16(0, value ? before | mask : before & ~mask);
    const out = new Uint8Array(2);
    this.#order(this.#bytes, 0, out);
    return out;
  }

  /** Copies into big-endian order, or back, which is the same exchange. A text keeps the order of its registers. */
  #order(bytes: Uint8Array, at: number, out: Uint8Array = this.#bytes): void {
    const { wordOrder, byteOrder, type } = this.format;
    const last = this.registers - 1;
    const isReversed = wordOrder === 'little' && type !== 'text';
    const high = byteOrder === 'big' ? 0 : 1;
    for (let word = 0; word <= last; word++) {
      const from = at + 2 * (isReversed ? last - word : word);
      out[2 * word] = bytes[from + high]!;
      out[2 * word + 1] = bytes[from + 1 - high]!;
    }
  }

  #raw(type: RegisterType): number {
    switch (type) {
      case 'u16':
        return this.#view.getUint16(0);
      case 'i16':
        return this.#view.getInt16(0);
      case 'u32':
        return this.#view.getUint32(0);
      case 'i32':
        return this.#view.getInt32(0);
      case 'f32':
        return this.#view.getFloat32(0);
      case 'f64':
        return this.#view.getFloat64(0);
      default:
        return decimalFrom(this.#bytes);
    }
  }

  #scaled(raw: number): number | undefined {
    const { scale, offset, type } = this.format;
    if (raw < 0 && (type === 'bcd16' || type === 'bcd32')) {
      this.reason = 'invalid_bcd';
      return undefined;
    }
    const value = this.#divisor === 0 ? raw * scale + offset : (raw + this.#rawOffset) / this.#divisor;
    if (Number.isFinite(value)) return value;
    this.reason = 'not_finite';
    return undefined;
  }

  #readLong(raw: bigint): Value | undefined {
    if (this.format.as === 'text') return String(raw);
    const number = Number(raw);
    this.isExact = BigInt(number) === raw && Math.abs(number) <= Number.MAX_SAFE_INTEGER;
    return this.#scaled(number);
  }

  #writeFloat(value: Value): void {
    const raw = this.#rawNumber(value);
    const stored = this.format.type === 'f32' ? Math.fround(raw) : raw;
    if (!Number.isFinite(stored)) throw this.#unexpected('a number that the type can have', value);
    if (this.format.type === 'f32') this.#view.setFloat32(0, stored);
    else this.#view.setFloat64(0, stored);
  }

  #rawNumber(value: Value): number {
    if (typeof value !== 'number') throw this.#unexpected('a number', value);
    const difference = value - this.format.offset;
    return this.#divisor === 0 ? difference / this.format.scale : difference * this.#divisor;
  }

  #integerFrom(value: Value): bigint {
    const [low, high] = rawBounds[this.format.type]!;
    const raw = this.#rawInteger(value);
    if (raw !== undefined && raw >= low && raw <= high) return raw;
    throw this.#unexpected(`a value whose raw integer is ${low} to ${high}`, value);
  }

  #rawInteger(value: Value): bigint | undefined {
    // Digits of a 64-bit integer, which has no scale.
    if (this.format.as === 'text') {
      return typeof value === 'string' && /^-?\d{1,20}$/.test(value) ? BigInt(value) : undefined;
    }
    const raw = Math.round(this.#rawNumber(value));
    return Number.isFinite(raw) ? BigInt(raw) : undefined;
  }

  #writeInteger(raw: bigint): void {
    const { type } = this.format;
    const stored = type === 'bcd16' || type === 'bcd32' ? BigInt(`0x${raw}`) : raw;
    const bits = 16 * this.registers;
    const unsigned = BigInt.asUintN(bits, stored);
    for (let byte = this.#bytes.length - 1, shift = 0n; byte >= 0; byte--, shift += 8n) {
      this.#bytes[byte] = Number((unsigned >> shift) & 0xffn);
    }
  }

  #writeText(value: Value): void {
    if (typeof value !== 'string' || value.length > this.#bytes.length || !isLatin1(value))
      throw this.#unexpected(`a text of at most ${this.#bytes.length} Latin-1 characters`, value);
    for (let index = 0; index < value.length; index++) this.#bytes[index] = value.charCodeAt(index);
  }

  #unexpected(expected: string, value: unknown): TailraceError {
    return new TailraceError(
      'invalid_message',
      `value of type ${this.format.type}: expected ${expected}, got ${shown(value)}`,
    );
  }
}

/** Returns the number of the decimal digits, -1 if one of them is above 9. */
function decimalFrom(bytes: Uint8Array): number {
  let value = 0;
  for (const byte of bytes) {
    const high = byte >> 4;
    const low = byte & 0xf;
    if (high > 9 || low > 9) return -1;
    value = value * 100 + high * 10 + low;
  }
  return value;
}

/** Returns whether all characters are of Latin-1, and none is NUL, at which a text stops. */
function isLatin1(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === 0 || code > 0xff) return false;
  }
  return true;
}

/** Returns Latin-1 up to the first NUL, without spaces at its end. */
function textFrom(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, end < 0 ? bytes.length : end).toString('latin1');
  return text.trimEnd().slice(0, reportLimits.textCharactersMax);
}
