import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/*
 * Loaded into a process before its program (`node --import`). At each SIGUSR2 it reads the offset of its wall clock, in
 * ms, from the file that is named after its pid. The monotonic clock and the timers do not change, as when NTP, an
 * operator or a hypervisor sets a clock.
 */
const folder = process.env['TAILRACE_TEST_CLOCKS'] ?? '';
const RealDate = Date;
let offsetMs = 0;

process.on('SIGUSR2', () => {
  const path = join(folder, String(process.pid));
  const offset = readFileSync(path, 'utf8');
  offsetMs = Number(offset);
  writeFileSync(`${path}.set`, offset);
});

class SkewedDate extends RealDate {
  constructor(...values: unknown[]) {
    // @ts-expect-error: as Date is called, with whatever arguments.
    super(...(values.length === 0 ? [RealDate.now() + offsetMs] : values));
  }

  static override now(): number {
    return RealDate.now() + offsetMs;
  }
}

globalThis.Date = SkewedDate as DateConstructor;
