import { shown, TailraceError } from '@tailrace/protocol/error';

/** The four tables of a Modbus device (Modbus Application Protocol V1.1b3, 4.3). */
export const tables = ['coil', 'discrete', 'input', 'holding'] as const;
export type Table = (typeof tables)[number];

/**
 * How a register list counts.
 * - `zero`: the address of the protocol, from 0.
 * - `one`: the number of the register, from 1.
 * - `entity`: the number with the digit of its table before it: 40001 or 400001 is the first holding register.
 */
export const addressings = ['zero', 'one', 'entity'] as const;
export type Addressing = (typeof addressings)[number];

/** Addresses of a table, 0 to 65,535. */
export const addressCount = 65_536;

const entityDigits: Readonly<Record<Table, number>> = { coil: 0, discrete: 1, input: 3, holding: 4 };

export function isBitTable(table: Table): boolean {
  return table === 'coil' || table === 'discrete';
}

/**
 * Returns the address of the protocol, 0 to 65,535, of an address as the register list of a device has it. The only
 * place that converts addresses. A coil above 9,999 needs a text as entity, "010000", since numbers have no leading
 * zero. Throws `invalid_config`.
 */
export function protocolAddress(address: number | string, addressing: Addressing, table: Table): number {
  if (addressing === 'entity') return entityAddress(address, table);
  const first = addressing === 'one' ? 1 : 0;
  const number = typeof address === 'number' || /^\d{1,5}$/.test(address) ? Number(address) : Number.NaN;
  if (Number.isInteger(number) && number >= first && number < addressCount + first) return number - first;
  throw new TailraceError(
    'invalid_config',
    `address: expected ${first} to ${addressCount - 1 + first} with addressing "${addressing}", got ${shown(address)}`,
  );
}

/** Returns the number of a register from 1 with the digit of its table, in six digits, for people. */
export function entityNumber(address: number, table: Table): string {
  return `${entityDigits[table]}${String(address + 1).padStart(5, '0')}`;
}

function entityAddress(address: number | string, table: Table): number {
  const digits = typeof address === 'string' ? address : entityText(address);
  const number = Number(digits.slice(1));
  const isWellFormed = /^[0134](\d{4}|\d{5})$/.test(digits) && number >= 1 && number <= addressCount;
  if (isWellFormed && Number(digits[0]) === entityDigits[table]) return number - 1;
  const digit = entityDigits[table];
  throw new TailraceError(
    'invalid_config',
    `address: expected ${digit}0001 to ${digit}9999 or ${digit}00001 to ${digit}65536 for the table "${table}" with addressing "entity", got ${shown(address)}`,
  );
}

/** Returns the digits of an entity that is a number: up to 9999 it is a coil in five digits. */
function entityText(address: number): string {
  return Number.isInteger(address) && address >= 0 ? String(address).padStart(5, '0') : '';
}
