import { shown, TailraceError } from '@tailrace/protocol/error';
import type { Reading } from '@tailrace/protocol/report';
import { dataTypeName, dataTypes, integerBits, isSigned } from './data-type.ts';
import type { Metric } from './payload.ts';

/**
 * Returns the value field of a metric of this data type. Signed integers are in two's complement of their own size,
 * which all receivers read. Throws `invalid_message` for a value that does not fit the data type: its kind, sign or
 * range. `name` is for the message.
 */
export function metricFields(name: string, dataType: number, value: Reading['value']): Metric {
  const bits = integerBits(dataType);
  if (bits > 0) return integerFields(name, dataType, value, bits);
  switch (dataType) {
    case dataTypes.float:
      if (isFiniteNumber(value) && Number.isFinite(Math.fround(value))) return { floatValue: value };
      break;
    case dataTypes.double:
      if (isFiniteNumber(value)) return { doubleValue: value };
      break;
    case dataTypes.boolean:
      if (typeof value === 'boolean') return { booleanValue: value };
      break;
    case dataTypes.string:
    case dataTypes.text:
    case dataTypes.uuid:
      if (typeof value === 'string') return { stringValue: value };
      break;
    case dataTypes.dateTime:
      if (isFiniteNumber(value) && Number.isSafeInteger(value) && value >= 0) return { longValue: value };
      break;
    default:
  }
  throw doesNotFit(name, dataType, value);
}

function integerFields(name: string, dataType: number, value: Reading['value'], bits: number): Metric {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw doesNotFit(name, dataType, value);
  const [min, max] = isSigned(dataType) ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
  if (value < min || value > max) throw doesNotFit(name, dataType, value);
  if (bits === 64) return { longValue: value < 0 ? BigInt.asUintN(64, BigInt(value)) : value + 0 };
  return { intValue: value < 0 ? value + 2 ** bits : value + 0 };
}

function isFiniteNumber(value: Reading['value']): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function doesNotFit(name: string, dataType: number, value: Reading['value']): TailraceError {
  return new TailraceError(
    'invalid_message',
    `metric ${shown(name)}: expected a value of ${dataTypeName(dataType)}, got ${shown(value)}`,
  );
}
