import type { Clock } from '@tailrace/platform/clock';
import { isTailraceError } from '@tailrace/protocol/error';
import { readBack, type WriteAnswer, type WriteResult, type WriteTurn } from '../read-back.ts';
import type { Value } from '../sample.ts';
import type { ModbusTag } from './modbus-tag.ts';
import { type Request, readRequest, writeManyRequest, writeOneRequest } from './pdu.ts';
import type { ExchangeReply, ModbusUnit } from './unit.ts';

export interface WriteOptions {
  readonly unit: Pick<ModbusUnit, 'exchange' | 'hold' | 'isStopped'>;
  readonly tag: ModbusTag;
  readonly value: Value;
  /** `auto`: one register or coil is written with function 6 or 5. `many`: with 16 or 15. */
  readonly writeWith: 'auto' | 'many';
  /** Time until the write must be sent, ms. */
  readonly deadlineMs: number;
  /** Default: no other write waits. */
  readonly turn?: WriteTurn | undefined;
  /** Time for the read-back after a good answer, ms. Default: 2,000. */
  readonly readBackMs?: number;
  /** Time for the read-back after an answer that was lost, ms: as the reconnect takes. Default: 60,000. */
  readonly resolveMs?: number;
  /** A device that received a write has finished it after this, ms. */
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/**
 * Writes the value of a tag and reads it back. The write is sent once: only a device that refuses the function as
 * unknown gets it with the other one. Resolves with what it did; never rejects.
 */
export async function writeTag(options: WriteOptions): Promise<WriteResult> {
  const release = options.unit.hold();
  try {
    return await writeHeld(options, release);
  } finally {
    release();
  }
}

/** `release`: reads of the unit go on. */
async function writeHeld(options: WriteOptions, release: () => void): Promise<WriteResult> {
  const { unit, tag, value, clock } = options;
  const untilMs = clock.monotonic() + options.deadlineMs;
  const leftMs = () => Math.max(0, untilMs - clock.monotonic());
  if (tag.table !== 'coil' && tag.table !== 'holding') {
    return { state: 'failed', code: 'forbidden', message: `table ${tag.table}: expected coil or holding for a write` };
  }
  const present = await readRegisters(options, leftMs());
  if (present === undefined) {
    return { state: 'failed', code: 'unavailable', message: 'not written: the value before could not be read' };
  }
  // Undefined where the registers have no value yet, as a float that is no number: then the first is written.
  const before = valueFrom(tag, present);
  const known = before === undefined ? {} : { before };
  let encoded: Uint8Array | boolean;
  try {
    encoded = encode(tag, value, present);
  } catch (thrown) {
    if (!isTailraceError(thrown)) throw thrown;
    return { state: 'failed', code: 'invalid_message', message: thrown.message, ...known };
  }
  const isOne = typeof encoded === 'boolean' || encoded.length === 2;
  const first: 'one' | 'many' =
    isOne && options.writeWith === 'auto' && tag.refusedWrite !== 'one' ? 'one' : ('many' as const);
  let reply = await unit.exchange(writeRequest(tag, first, encoded), leftMs());
  if (isOne && options.writeWith === 'auto' && reply.kind === 'exception' && reply.exception === 1) {
    tag.refusedWrite = first;
    reply = await unit.exchange(writeRequest(tag, first === 'one' ? 'many' : 'one', encoded), leftMs());
  }
  const answer = answerFrom(reply);
  if (typeof answer !== 'string') return { ...answer, ...known };
  const { readBackMs = 2_000, resolveMs = 60_000, timeoutMs } = options;
  return readBack({
    answer,
    wanted: tag.codec.held(value),
    before,
    limitMs: answer === 'good' ? readBackMs : resolveMs,
    settledMs: Math.max(1_000, timeoutMs),
    turn: options.turn,
    read: async (timeMs) => {
      const registers = await readRegisters(options, timeMs);
      // If the value is not there yet, the next read-back is after a pause.
      release();
      return registers === undefined ? undefined : valueFrom(tag, registers);
    },
    isStopped: () => unit.isStopped,
    clock,
  });
}

function encode(tag: ModbusTag, value: Value, present: Uint8Array): Uint8Array | boolean {
  if (tag.table === 'holding') {
    return tag.codec.format.type === 'bit' ? tag.codec.registersWithBit(value, present) : tag.codec.write(value);
  }
  // Of the type `bool`, whose register has the value.
  return tag.codec.write(value)[1] !== 0;
}

function writeRequest(tag: ModbusTag, how: 'one' | 'many', value: Uint8Array | boolean): Request {
  const table = tag.table === 'coil' ? 'coil' : 'holding';
  return how === 'one' ? writeOneRequest(table, tag.address, value) : writeManyRequest(table, tag.address, value);
}

/** Returns the meaning of the answer, or the result if nothing was written. */
function answerFrom(reply: ExchangeReply): WriteAnswer | WriteResult {
  switch (reply.kind) {
    case 'data':
      return 'good';
    case 'not_sent':
      return { state: 'failed', code: 'unavailable', message: 'not written: it was not sent in time' };
    case 'exception': {
      const { exception } = reply;
      // 5: the device works on it. 11: the gateway sent it and got no answer.
      if (exception === 5 || exception === 11) return 'unknown';
      const code = exception === 6 || exception === 10 ? 'unavailable' : 'forbidden';
      return { state: 'failed', code, message: `not written: exception ${exception} of the device` };
    }
    default:
      return 'unknown';
  }
}

async function readRegisters(
  { unit, tag }: Pick<WriteOptions, 'unit' | 'tag'>,
  deadlineMs: number,
): Promise<Uint8Array | undefined> {
  const reply = await unit.exchange(readRequest(tag.table, tag.address, tag.length), deadlineMs);
  return reply.kind === 'data' ? reply.data : undefined;
}

function valueFrom(tag: ModbusTag, data: Uint8Array): Value | undefined {
  return tag.table === 'coil' ? (data[0]! & 1) === 1 : tag.codec.read(data, 0);
}
