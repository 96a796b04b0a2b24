import { shown } from './error.ts';
import { partitionsMax } from './partition.ts';
import { isDevicePath } from './path.ts';
import { invalidReport } from './reading.ts';
import type { Delivery, ReportClock } from './report.ts';
import { timeMsMax } from './report-limits.ts';

interface UncheckedDelivery {
  readonly device?: unknown;
  readonly time?: unknown;
  readonly received?: unknown;
  readonly partition?: unknown;
  readonly seq?: unknown;
  readonly readings?: unknown;
  readonly delta?: unknown;
  readonly clock?: unknown;
  readonly historical?: unknown;
}

interface UncheckedReading {
  readonly tag?: unknown;
  readonly value?: unknown;
  readonly unit?: unknown;
  readonly time?: unknown;
}

/**
 * Validates a delivery from a server's frame, parsed by JSON.parse. The result is `value` itself. It validates types
 * and ranges that programs rely on, but not the limits for senders, which a later server may have raised. Unknown keys
 * stay. Throws `invalid_report`.
 */
export function deliveryFromJson(value: unknown): Delivery {
  const {
    device,
    time,
    received = 0,
    partition,
    seq,
    readings,
    delta = false,
    clock,
    historical = false,
  } = Object(value) as UncheckedDelivery;
  assertIs(isDevicePath(device), 'device', device);
  assertIs(isTime(time), 'time', time);
  assertIs(isTime(received), 'received', received);
  assertIs(isCount(partition) && partition < partitionsMax, 'partition', partition);
  // The next position is a safe integer, too.
  assertIs(isCount(seq) && seq < Number.MAX_SAFE_INTEGER, 'seq', seq);
  assertIs(typeof delta === 'boolean', 'delta', delta);
  assertIs(typeof historical === 'boolean', 'historical', historical);
  assertIs(Array.isArray(readings), 'readings', readings);
  for (const reading of readings as readonly unknown[]) assertReading(reading);
  // A value of a later server means that the times are unreliable.
  if (clock !== undefined && clock !== 'ingest') (value as { clock: ReportClock }).clock = 'ahead';
  return value as Delivery;
}

function assertReading(value: unknown): void {
  const { tag, value: measured, unit = '', time = 0 } = Object(value) as UncheckedReading;
  assertIs(typeof tag === 'string' && tag !== '', 'tag', tag);
  const kind = typeof measured;
  assertIs(kind === 'string' || kind === 'boolean' || Number.isFinite(measured), 'value', measured);
  assertIs(typeof unit === 'string', 'unit', unit);
  assertIs(isTime(time), 'reading time', time);
}

function isTime(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= timeMsMax;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function assertIs(isValid: boolean, name: string, value: unknown): void {
  if (!isValid) throw invalidReport(`delivery: expected a valid ${name}, got ${shown(value)}`);
}
