import type { Clock } from '@tailrace/platform/clock';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { OpenStream } from '../modbus/byte-stream.ts';
import { ModbusConnection } from '../modbus/connection.ts';
import { type Reply, readRequest } from '../modbus/pdu.ts';
import { type Order, RegisterCodec, type RegisterType } from '../modbus/register.ts';
import { addressCount, isBitTable, type Table, tables } from '../modbus/register-address.ts';
import { rtuFraming } from '../modbus/rtu-frame.ts';
import { tcpFraming } from '../modbus/tcp-frame.ts';
import { integerOption } from './integer-option.ts';

export interface ProbeModbusCommand {
  readonly unit?: string | undefined;
  readonly table?: string | undefined;
  readonly address?: string | undefined;
  readonly framing?: string | undefined;
}

export interface ProbeModbusOptions {
  readonly openStream: OpenStream;
  readonly clock: Clock;
}

const timeoutMs = 2_000;
const connectMs = 6_000;

/** A float outside of it is no value of a machine, but other bytes. */
const plausible = { least: 1e-6, most: 1e9 } as const;

const orders: readonly (readonly [name: string, wordOrder: Order, byteOrder: Order])[] = [
  ['ABCD', 'big', 'big'],
  ['CDAB', 'little', 'big'],
  ['BADC', 'big', 'little'],
  ['DCBA', 'little', 'little'],
];

/**
 * Resolves with two registers, read with both offsets, as every type and in every order: a person who knows the value
 * recognizes it. Throws `invalid_config` for an invalid command, `unavailable` without a connection.
 */
export async function probeModbus(command: ProbeModbusCommand, options: ProbeModbusOptions): Promise<string> {
  const unit = integerOption('--unit', command.unit, 1, 255, 0);
  const table = tableFrom(command.table);
  const address = integerOption('--address', command.address, 0, addressCount - 1, 0);
  const framing = command.framing ?? 'tcp';
  if (framing !== 'tcp' && framing !== 'rtu') {
    throw new TailraceError('invalid_config', `--framing: expected tcp or rtu, got ${shown(framing)}`);
  }
  const { clock, openStream } = options;
  const connected = Promise.withResolvers<string | undefined>();
  const connection = new ModbusConnection({
    openStream,
    framing: framing === 'tcp' ? tcpFraming : rtuFraming,
    timeoutMs,
    clock,
    random: Math.random,
    onChange: (isConnected, reason) => connected.resolve(isConnected ? undefined : reason),
  });
  const late = clock.after(connectMs, () => connected.resolve(`no connection within ${connectMs} ms`));
  connection.start();
  try {
    const reason = await connected.promise;
    if (reason !== undefined) throw new TailraceError('unavailable', `the device: ${reason}`);
    const lines = [`unit ${unit}, ${table}`];
    // The manual counts from 0 or from 1.
    for (const addressing of ['zero', 'one'] as const) {
      const start = addressing === 'zero' ? address : address - 1;
      if (start < 0) continue;
      const length = isBitTable(table) ? 1 : Math.min(2, addressCount - start);
      const reply = await connection.send(unit, readRequest(table, start, length), timeoutMs);
      const what = `"addressing": "${addressing}", "address": ${address} (${start} of the protocol)`;
      lines.push('', `${what}: ${headText(reply, table)}`);
      if (reply.kind === 'data' && !isBitTable(table)) lines.push(...valueLines(reply.data));
    }
    return `${lines.join('\n')}\n`;
  } finally {
    late.cancel();
    connection.stop();
  }
}

function tableFrom(text: string | undefined): Table {
  const table = tables.find((each) => each === (text ?? 'holding'));
  if (table !== undefined) return table;
  throw new TailraceError('invalid_config', `--table: expected one of ${tables.join(', ')}, got ${shown(text)}`);
}

function headText(reply: Reply, table: Table): string {
  if (reply.kind === 'exception') return `the device refuses it with exception ${reply.exception}`;
  if (reply.kind !== 'data') return `no valid answer (${reply.kind})`;
  if (isBitTable(table)) return (reply.data[0]! & 1) === 1 ? 'true' : 'false';
  const words: string[] = [];
  for (let at = 0; at < reply.data.length; at += 2)
    words.push(Buffer.from(reply.data.subarray(at, at + 2)).toString('hex'));
  return `registers ${words.join(' ')} in hexadecimal`;
}

function valueLines(data: Uint8Array): string[] {
  const lines = (['u16', 'i16'] as const).map((type) => line(type, '', valueFrom(data, type, 'big', 'big')));
  if (data.length < 4) return lines;
  for (const type of ['u32', 'i32', 'f32'] as const) {
    for (const [name, wordOrder, byteOrder] of orders) {
      const value = valueFrom(data, type, wordOrder, byteOrder);
      const isLikely = type === 'f32' && isPlausible(value);
      const fields = `"wordOrder": "${wordOrder}", "byteOrder": "${byteOrder}"`;
      lines.push(`${line(type, name, value)}${isLikely ? `  plausible: ${fields}` : ''}`);
    }
  }
  return lines;
}

function line(type: string, order: string, value: unknown): string {
  return `  ${type} ${order.padEnd(4)} ${String(value ?? 'no number').padStart(24)}`;
}

function isPlausible(value: unknown): boolean {
  const size = Math.abs(Number(value ?? Number.NaN));
  return size >= plausible.least && size <= plausible.most;
}

function valueFrom(data: Uint8Array, type: RegisterType, wordOrder: Order, byteOrder: Order) {
  return new RegisterCodec({ type, wordOrder, byteOrder, scale: 1, offset: 0 }).read(data, 0);
}
