import { partitionsMax } from './partition.ts';
import { assertDevicePath } from './path.ts';
import {
  assertReadingTime,
  assertTag,
  assertTime,
  assertUnit,
  assertValue,
  invalidReport,
  isObject,
} from './reading.ts';
import type { Delivery } from './report.ts';

interface UncheckedDelivery {
  readonly device?: unknown;
  readonly time?: unknown;
  readonly received?: unknown;
  readonly partition?: unknown;
  readonly seq?: unknown;
  readonly readings?: unknown;
  readonly delta?: unknown;
}

/**
 * A delivery from what JSON.parse made of a server's frame. Checked as far as a program relies on it; keys that a later server adds are left
 * where they are. Takes `value` over. Throws `invalid_path`, `invalid_report`.
 */
export function deliveryFromJson(value: unknown): Delivery {
  if (!isObject(value)) throw invalidReport('a delivery is not an object');
  const { device, time, received, partition, seq, readings, delta } = value as UncheckedDelivery;
  assertDevicePath(device);
  assertTime(time, 'time');
  if (received !== undefined) assertTime(received, 'received');
  if (!isCount(partition) || partition >= partitionsMax) {
    throw invalidReport(`partition is ${String(partition)}; right is 0 to ${partitionsMax - 1}`);
  }
  if (!isCount(seq)) throw invalidReport(`seq is ${String(seq)}; right is an integer from 0 to 2^53 - 1`);
  if (delta !== undefined && typeof delta !== 'boolean') throw invalidReport('delta is not true or false');
  if (!Array.isArray(readings)) throw invalidReport('readings is not an array');
  for (let index = 0; index < readings.length; index++) assertReading(readings[index], index);
  return value as Delivery;
}

function assertReading(value: unknown, index: number): void {
  if (!isObject(value)) throw invalidReport(`readings[${index}] is not an object`);
  const {
    tag,
    value: measured,
    unit,
    time,
  } = value as { tag?: unknown; value?: unknown; unit?: unknown; time?: unknown };
  assertTag(tag, index);
  assertValue(measured, index);
  if (unit !== undefined) assertUnit(unit, index);
  if (time !== undefined) assertReadingTime(time, index);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
