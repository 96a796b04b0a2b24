import type { Clock } from '@tailrace/platform/clock';
import { isTailraceError } from '@tailrace/protocol/error';
import { readBack, type WriteAnswer, type WriteResult, type WriteTurn } from '../read-back.ts';
import type { Value } from '../sample.ts';
import { isRefusal, lossFrom } from './connection-failure.ts';
import type { NodeToRead, OpcuaChannel, OpcuaVariant } from './opcua-port.ts';
import { opcuaStatus } from './opcua-port.ts';
import { heldValue, qualityOf, type ValueFormat, valueFrom, variantFrom } from './value.ts';

export interface OpcuaWriteOptions {
  /** Returns the channel while the source is live. */
  readonly channel: () => OpcuaChannel | undefined;
  /** Returns the node; undefined: the server does not have its namespace. */
  readonly node: () => NodeToRead | undefined;
  readonly format: ValueFormat;
  readonly value: Value;
  /** Time until the write must be sent, ms. */
  readonly deadlineMs: number;
  /** Default: no other write waits. */
  readonly turn?: WriteTurn | undefined;
  /** A server that received a write has finished it after this, ms. */
  readonly timeoutMs: number;
  /** Time for the read-back after a good answer, ms. Default: 2,000. */
  readonly readBackMs?: number;
  /** Time for the read-back after an answer that was lost, ms: as the reconnect takes. Default: 60,000. */
  readonly resolveMs?: number;
  readonly isStopped: () => boolean;
  readonly clock: Clock;
}

/** Of nodes whose value has no type: attribute DataType, Part 6, table A.1. */
const dataTypeAttribute = 14;
const scalarTypeMax = 21;
/** The answer came before the server had finished. */
const uncertainAnswers: ReadonlySet<string> = new Set(['GoodCompletesAsynchronously']);

/**
 * Writes the value of a node and reads it back. The write is sent once, on the channel that is there now: a server
 * never gets it later. Resolves with what it did; never rejects.
 */
export async function writeNode(options: OpcuaWriteOptions): Promise<WriteResult> {
  const { value, format, clock, timeoutMs, readBackMs = 2_000, resolveMs = 60_000 } = options;
  const untilMs = clock.monotonic() + options.deadlineMs;
  const channel = options.channel();
  const node = options.node();
  if (channel === undefined || node === undefined) return unavailable('there is no session with the OPC UA server');
  let present: OpcuaVariant | undefined;
  let dataType: number;
  try {
    present = await readVariant(channel, node);
    dataType = await dataTypeOf(channel, node, present);
  } catch (error) {
    return unavailable(`the value before could not be read: ${opcuaStatus(error)}`);
  }
  const before = valueFrom(present, format, { inexact: 0 }).value;
  let variant: OpcuaVariant;
  try {
    const scalar = variantFrom(value, dataType);
    variant = node.index === undefined ? scalar : { ...scalar, arrayType: 1, value: [scalar.value] };
  } catch (error) {
    if (!isTailraceError(error)) throw error;
    return {
      state: 'failed',
      code: 'invalid_message',
      message: error.message,
      ...(before !== undefined && { before }),
    };
  }
  if (clock.monotonic() >= untilMs) return unavailable('it was not sent in time');
  const answer = await answerOf(channel, node, variant);
  if (typeof answer !== 'string') return { ...answer, ...(before !== undefined && { before }) };
  return readBack({
    answer,
    wanted: heldValue(value, dataType, format),
    before,
    limitMs: answer === 'good' ? readBackMs : resolveMs,
    settledMs: Math.max(1_000, timeoutMs),
    turn: options.turn,
    read: async () => {
      const reading = options.channel();
      const place = options.node();
      if (reading === undefined || place === undefined) return undefined;
      try {
        return valueFrom(await readVariant(reading, place), format, { inexact: 0 }).value;
      } catch {
        return undefined;
      }
    },
    isStopped: options.isStopped,
    clock,
  });
}

/** Returns the meaning of the answer, or the result if nothing was written. */
async function answerOf(
  channel: OpcuaChannel,
  node: NodeToRead,
  variant: OpcuaVariant,
): Promise<WriteAnswer | WriteResult> {
  try {
    const { value, name } = await channel.write(node, variant);
    if (qualityOf(value) === 'bad') return refused(name);
    return qualityOf(value) === 'good' && !uncertainAnswers.has(name) ? 'good' : 'unknown';
  } catch (error) {
    const status = opcuaStatus(error);
    if (isRefusal(status)) return refused(status);
    // Without an answer it may have been done.
    return lossFrom(status) === 'session' ? unavailable(`the server answered ${status}`) : 'unknown';
  }
}

function refused(status: string): WriteResult {
  return { state: 'failed', code: 'forbidden', message: `not written: the server answered ${status}` };
}

function unavailable(reason: string): WriteResult {
  return { state: 'failed', code: 'unavailable', message: `not written: ${reason}` };
}

async function readVariant(channel: OpcuaChannel, node: NodeToRead): Promise<OpcuaVariant | undefined> {
  const [data] = await channel.read([node]);
  // With a bad status the value is an old one, or none.
  return data === undefined || qualityOf(data.statusCode.value) === 'bad' ? undefined : (data.value ?? undefined);
}

/** A value that was never set has no type: then the node has it. */
async function dataTypeOf(channel: OpcuaChannel, node: NodeToRead, present: OpcuaVariant | undefined): Promise<number> {
  if (present !== undefined && present.dataType !== 0) return present.dataType;
  const [data] = await channel.read([{ node: node.node, attribute: dataTypeAttribute }]);
  const type = /^ns=0;i=(\d+)$/.exec(String(data?.value?.value));
  const number = Number(type?.[1] ?? 0);
  return number <= scalarTypeMax ? number : 0;
}
