import { exceptions, ModbusException, type ModbusTable, type ModbusUnit } from './modbus-unit.ts';

/** Tables that the functions read (Modbus Application Protocol V1.1b3, sections 6.1 to 6.4). */
const readTables: Readonly<Record<number, ModbusTable>> = { 1: 'coil', 2: 'discrete', 3: 'holding', 4: 'input' };
const registersMax = 125;
const bitsMax = 2_000;
const writeRegistersMax = 123;
const writeBitsMax = 1_968;

/** Returns the reply to a request, both without unit and framing: what was requested, or an exception. */
export function modbusReply(unit: ModbusUnit, request: Buffer): Buffer {
  const code = request[0] ?? 0;
  try {
    return replyOf(unit, code, request);
  } catch (thrown) {
    if (!(thrown instanceof ModbusException)) throw thrown;
    return Buffer.from([code | 0x80, thrown.exception]);
  }
}

function replyOf(unit: ModbusUnit, code: number, request: Buffer): Buffer {
  const table = readTables[code];
  const isWrite = code === 5 || code === 6 || code === 15 || code === 16;
  if (table === undefined && !isWrite) {
    throw new ModbusException(exceptions.illegalFunction, `function: expected 1 to 6, 15 or 16, got ${code}`);
  }
  if (request.length < 5 || (code <= 6 && request.length > 5)) throw invalidValue('length', request.length);
  const start = request.readUInt16BE(1);
  const word = request.readUInt16BE(3);
  if (table !== undefined) return readReply(unit, code, table, start, word);
  if (code === 5) {
    if (word !== 0 && word !== 0xff00) throw invalidValue('value of a coil', word);
    unit.write('coil', start, [word === 0 ? 0 : 1]);
  } else if (code === 6) unit.write('holding', start, [word]);
  else unit.write(code === 15 ? 'coil' : 'holding', start, wordsOf(code, word, request.subarray(5)));
  // The reply repeats address and value, or address and number (6.5, 6.6, 6.11, 6.12).
  return request.subarray(0, 5);
}

function readReply(unit: ModbusUnit, code: number, table: ModbusTable, start: number, count: number): Buffer {
  const isBits = code <= 2;
  if (count < 1 || count > (isBits ? bitsMax : registersMax)) throw invalidValue('quantity', count);
  const words = unit.read(table, start, count);
  const reply = Buffer.alloc(2 + (isBits ? Math.ceil(count / 8) : 2 * count));
  reply[0] = code;
  reply[1] = reply.length - 2;
  for (const [index, word] of words.entries()) {
    if (isBits) reply[2 + (index >> 3)]! |= word << (index & 7);
    else reply.writeUInt16BE(word, 2 + 2 * index);
  }
  return reply;
}

/** Returns the words of functions 15 and 16, whose data follows its length in bytes. */
function wordsOf(code: number, count: number, data: Buffer): number[] {
  const isBits = code === 15;
  if (count < 1 || count > (isBits ? writeBitsMax : writeRegistersMax)) throw invalidValue('quantity', count);
  const bytes = isBits ? Math.ceil(count / 8) : 2 * count;
  if (data[0] !== bytes || data.length !== 1 + bytes) throw invalidValue('bytes of data', data.length - 1);
  return Array.from({ length: count }, (_, index) =>
    isBits ? (data[1 + (index >> 3)]! >> (index & 7)) & 1 : data.readUInt16BE(1 + 2 * index),
  );
}

function invalidValue(name: string, got: number): ModbusException {
  return new ModbusException(exceptions.illegalValue, `${name}: expected another one, got ${got}`);
}
